"""Every error of the framework, with the exit code a program ends with.

    DatakitError
    ├── InputError                      fix the input, then run again
    │   ├── ConfigurationError      1   a target, an option, a file, a password
    │   │   ├── DiscoveryError      1   the datakit cannot be read
    │   │   ├── MissingExtraError   1   an optional dependency is not installed
    │   │   ├── PasswordNeededError 1   the server asks for a password and none was given
    │   │   └── RowsNotGeneratedError 1 no rows can be made for a class that obey it
    │   ├── ExtractionError         2   the source refused the query or the table
    │   └── DeploymentError         5   the target refused the DDL or the rows
    │       ├── TargetNotEmptyError 5   the target holds tables that this run did not create
    │       └── NoScratchPlaceError 5   no place for a shadow: a right is missing, or the server is read-only
    ├── TryAgainError              75   a source or target was not reachable; the same call may work later
    ├── RowError                    4   rows break their contract: reject them
    └── StopError                       stop: this needs a person
        ├── StorageError            3   files could not be written or published
        └── ValidationFailedError   4   the database differs from the classes

The codes are documented in docs/exit-codes.md; 0 means done.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ConfigurationError",
    "DatakitError",
    "DeploymentError",
    "DiscoveryError",
    "ExtractionError",
    "InputError",
    "MissingExtraError",
    "NoScratchPlaceError",
    "PasswordNeededError",
    "RowError",
    "RowsNotGeneratedError",
    "StopError",
    "StorageError",
    "TargetNotEmptyError",
    "TryAgainError",
    "ValidationFailedError",
]


class DatakitError(Exception):
    """What failed, where, what was seen against what was expected, and the next step.

    `where` names target, table and column as far as they are known. None leaves a part out of the message.
    No part may carry a password or a value from a row.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        seen: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.seen = seen
        self.expected = expected
        self.next_step = next_step
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what if self.where is None else f"{self.what} ({self.where})"]
        if self.seen is not None:
            parts.append(f"seen: {self.seen}")
        if self.expected is not None:
            parts.append(f"expected: {self.expected}")
        if self.next_step is not None:
            parts.append(f"next: {self.next_step}")
        return "; ".join(parts)


class InputError(DatakitError):
    """The caller can fix what was given and run again."""


class ConfigurationError(InputError):
    """A target, option, file or credential is wrong."""


class DiscoveryError(ConfigurationError):
    """A datakit could not be read; the message lists every failure of every module."""


class MissingExtraError(ConfigurationError):
    """An optional dependency is not installed."""

    def __init__(self, extra: str, *, needed_for: str) -> None:
        self.extra = extra
        super().__init__(
            f"{needed_for} needs the extra '{extra}', which is not installed",
            next_step=f'pip install "data-platform-framework[{extra}]"',
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_missing_extra, (self.extra, self.what))


def _missing_extra(extra: str, what: str) -> MissingExtraError:
    return MissingExtraError(extra, needed_for=what.split(" needs the extra ", 1)[0])


class PasswordNeededError(ConfigurationError):
    """The server asks for a password and none was given; a program at a terminal may ask for it."""


class RowsNotGeneratedError(ConfigurationError):
    """No rows can be made that obey a class: contradictory checks, a pattern without a match, a cycle of required keys."""


class ExtractionError(InputError):
    """The source was reached and refused the query, or sent something its type cannot hold."""

    exit_code = 2


class DeploymentError(InputError):
    """The target was reached and refused DDL or rows; what had been created is gone again."""

    exit_code = 5


class TargetNotEmptyError(DeploymentError):
    """The target holds tables that were not created through this target object."""


class NoScratchPlaceError(DeploymentError):
    """No scratch place can be made on this server: a right is missing, or the server is read-only."""


class TryAgainError(DatakitError):
    """A source or target was not reachable; nothing was changed and the same call may work later."""

    exit_code = 75
    retryable = True


class RowError(DatakitError):
    """Rows break the contract of their table; the message counts them and never shows their values."""

    exit_code = 4


class StopError(DatakitError):
    """Something a re-run does not mend."""


class StorageError(StopError):
    """Files could not be written or published; nothing of the batch became visible, unless the message says so."""

    exit_code = 3


class ValidationFailedError(StopError):
    """The database differs from the classes."""

    exit_code = 4
