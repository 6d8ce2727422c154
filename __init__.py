"""data-platform-framework: one SQLModel class is the table, the contract, the landing schema and the test fixture.

Names are imported when first used, so `import sqlmodel_framework` alone is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlmodel_framework._version import __version__

if TYPE_CHECKING:
    from sqlmodel_framework.base.connectors.mysql import MySQLConfig, MySQLConnector
    from sqlmodel_framework.base.connectors.postgres import PostgresConfig, PostgresConnector
    from sqlmodel_framework.base.errors import (
        ConfigurationError,
        DatakitError,
        DeploymentError,
        DiscoveryError,
        ExtractionError,
        StorageError,
        TryAgainError,
        ValidationFailedError,
    )
    from sqlmodel_framework.base.loaders.bronze_ingestion import BronzeIngestionPipeline
    from sqlmodel_framework.base.models.bronze import BronzeMetadata
    from sqlmodel_framework.base.models.contract import Contract, contract_of
    from sqlmodel_framework.base.models.mixins import (
        ReferenceTable,
        ReferenceTableMixin,
        TemporalTable,
        TemporalTableMixin,
        TransactionalTable,
        TransactionalTableMixin,
    )
    from sqlmodel_framework.base.models.silver import SilverMetadata
    from sqlmodel_framework.config.targets import (
        TargetConfig,
        create_custom_target,
        get_ci_target,
        get_development_target,
        get_integration_target,
        get_target_config,
    )
    from sqlmodel_framework.engines.live import (
        cleanup_test_target,
        create_async_engine_for_target,
        create_engine_for_target,
    )
    from sqlmodel_framework.utils.deployment import deploy_data_objects, plan_deployment
    from sqlmodel_framework.utils.discovery import (
        Datakit,
        discover_datakit_modules,
        discover_sqlmodel_classes,
        load_datakit,
    )
    from sqlmodel_framework.utils.findings import Finding
    from sqlmodel_framework.utils.generation import generate_rows
    from sqlmodel_framework.utils.linting import LintResult, lint_datakit
    from sqlmodel_framework.utils.loading import load_rows
    from sqlmodel_framework.utils.proof.prove import ProofResult, prove_deployment
    from sqlmodel_framework.utils.testing.assertions import assert_rows, assert_schema
    from sqlmodel_framework.utils.testing.database import FreshDatabase
    from sqlmodel_framework.utils.testing.databases import FreshDatabases, fresh_database
    from sqlmodel_framework.utils.testing.snapshots import assert_snapshot, snapshot
    from sqlmodel_framework.utils.validation import validate_deployment

_HOMES = {
    "base.connectors.mysql": ["MySQLConfig", "MySQLConnector"],
    "base.connectors.postgres": ["PostgresConfig", "PostgresConnector"],
    "base.errors": [
        "ConfigurationError",
        "DatakitError",
        "DeploymentError",
        "DiscoveryError",
        "ExtractionError",
        "StorageError",
        "TryAgainError",
        "ValidationFailedError",
    ],
    "base.loaders.bronze_ingestion": ["BronzeIngestionPipeline"],
    "base.models.bronze": ["BronzeMetadata"],
    "base.models.contract": ["Contract", "contract_of"],
    "base.models.mixins": [
        "ReferenceTable",
        "ReferenceTableMixin",
        "TemporalTable",
        "TemporalTableMixin",
        "TransactionalTable",
        "TransactionalTableMixin",
    ],
    "base.models.silver": ["SilverMetadata"],
    "config.targets": [
        "TargetConfig",
        "create_custom_target",
        "get_ci_target",
        "get_development_target",
        "get_integration_target",
        "get_target_config",
    ],
    "engines.live": ["cleanup_test_target", "create_async_engine_for_target", "create_engine_for_target"],
    "utils.deployment": ["deploy_data_objects", "plan_deployment"],
    "utils.discovery": ["Datakit", "discover_datakit_modules", "discover_sqlmodel_classes", "load_datakit"],
    "utils.findings": ["Finding"],
    "utils.generation": ["generate_rows"],
    "utils.linting": ["LintResult", "lint_datakit"],
    "utils.loading": ["load_rows"],
    "utils.proof.prove": ["ProofResult", "prove_deployment"],
    "utils.testing.assertions": ["assert_rows", "assert_schema"],
    "utils.testing.database": ["FreshDatabase"],
    "utils.testing.databases": ["FreshDatabases", "fresh_database"],
    "utils.testing.snapshots": ["assert_snapshot", "snapshot"],
    "utils.validation": ["validate_deployment"],
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "BronzeIngestionPipeline",
    "BronzeMetadata",
    "ConfigurationError",
    "Contract",
    "Datakit",
    "DatakitError",
    "DeploymentError",
    "DiscoveryError",
    "ExtractionError",
    "Finding",
    "FreshDatabase",
    "FreshDatabases",
    "LintResult",
    "MySQLConfig",
    "MySQLConnector",
    "PostgresConfig",
    "PostgresConnector",
    "ProofResult",
    "ReferenceTable",
    "ReferenceTableMixin",
    "SilverMetadata",
    "StorageError",
    "TargetConfig",
    "TemporalTable",
    "TemporalTableMixin",
    "TransactionalTable",
    "TransactionalTableMixin",
    "TryAgainError",
    "ValidationFailedError",
    "__version__",
    "assert_rows",
    "assert_schema",
    "assert_snapshot",
    "cleanup_test_target",
    "contract_of",
    "create_async_engine_for_target",
    "create_custom_target",
    "create_engine_for_target",
    "deploy_data_objects",
    "discover_datakit_modules",
    "discover_sqlmodel_classes",
    "fresh_database",
    "generate_rows",
    "get_ci_target",
    "get_development_target",
    "get_integration_target",
    "get_target_config",
    "lint_datakit",
    "load_datakit",
    "load_rows",
    "plan_deployment",
    "prove_deployment",
    "snapshot",
    "validate_deployment",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
