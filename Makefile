# The targets here are what CI runs. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
else
PIP_INSTALL = $(UV) pip install --quiet --python $(BIN)/python
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint format type-check check setup-dev bench bench-drift docs wheel-check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## set up, then run the whole road on real data
	@$(BIN)/datakit demo

test: $(VENV)/.dev ## set up, then run all tests
	$(BIN)/python -m pytest -n auto

test-fast: $(VENV)/.dev ## unit tests only: no service, seconds
	$(BIN)/python -m pytest tests/unit -m "not slow" -q

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

type-check: $(VENV)/.dev .cache/typing/sqlmodel_framework ## mypy, strict
	$(BIN)/mypy -p sqlmodel_framework

check: lint type-check ## everything that needs no test run

setup-dev: $(VENV)/.dev ## development environment with pre-commit hooks
	$(BIN)/pre-commit install

bench: $(VENV)/.dev ## side-by-side measurements (starts its own PostgreSQL)
	$(BIN)/python benchmarks/deploy.py

bench-drift: $(VENV)/.dev ## what we and Alembic miss, and false alarms (starts its own PostgreSQL)
	$(BIN)/python -m sqlmodel_framework.benchmarks.drift.measure --names

docs: $(VENV)/.dev ## build the documentation site into site/
	$(PIP_INSTALL) --group docs
	$(BIN)/mkdocs build --strict

wheel-check: $(VENV)/.dev ## build the wheel, install it without extras, run the main commands from it
	$(BIN)/python -m pytest tests/integration/test_wheel.py -q

clean: ## remove everything that the other targets made
	rm -rf $(VENV) .cache build dist site demo_output *.egg-info

# pip before 25.1 knows no dependency groups, so a new environment brings its own.
$(VENV)/.venv:
ifeq ($(UV),)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
else
	$(UV) venv --quiet --python $(PYTHON) $(VENV)
endif
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.venv
	$(PIP_INSTALL) --editable ".[demo]"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.venv
	$(PIP_INSTALL) --editable ".[all]" --group dev
	@touch $@ $(VENV)/.demo

# mypy runs no import hooks: this link shows it the package under its name. "typing" holds nothing else.
.cache/typing/sqlmodel_framework:
	mkdir -p .cache/typing
	ln -s ../.. $@
