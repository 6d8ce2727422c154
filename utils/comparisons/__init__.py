"""What validation compares, one file a thing. Each comparison takes the two readings of one table and gives findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.checks import compare_checks
from sqlmodel_framework.utils.comparisons.collations import compare_collations
from sqlmodel_framework.utils.comparisons.columns import compare_columns
from sqlmodel_framework.utils.comparisons.comments import compare_comments
from sqlmodel_framework.utils.comparisons.computed import compare_computed
from sqlmodel_framework.utils.comparisons.defaults import compare_defaults
from sqlmodel_framework.utils.comparisons.enum_members import compare_enum_members
from sqlmodel_framework.utils.comparisons.foreign_keys import compare_foreign_keys
from sqlmodel_framework.utils.comparisons.identities import compare_identities
from sqlmodel_framework.utils.comparisons.indexes import compare_indexes
from sqlmodel_framework.utils.comparisons.names import compare_names
from sqlmodel_framework.utils.comparisons.nullability import compare_nullability
from sqlmodel_framework.utils.comparisons.options import compare_options
from sqlmodel_framework.utils.comparisons.primary_keys import compare_primary_keys
from sqlmodel_framework.utils.comparisons.types import compare_types
from sqlmodel_framework.utils.comparisons.uniques import compare_uniques
from sqlmodel_framework.utils.findings import Finding

__all__ = ["COMPARISONS", "NAMES_ONLY", "Comparison"]

Comparison = Callable[[str, TableReading, TableReading], Iterator[Finding]]
"""Called with the table's name, the expected reading and the one found."""

NAMES_ONLY: tuple[Comparison, ...] = (compare_columns, compare_nullability, compare_primary_keys)
"""What can be compared without a scratch place: the class alone says these."""

COMPARISONS: tuple[Comparison, ...] = (
    *NAMES_ONLY,
    compare_types,
    compare_defaults,
    compare_computed,
    compare_identities,
    compare_collations,
    compare_enum_members,
    compare_foreign_keys,
    compare_uniques,
    compare_indexes,
    compare_checks,
    compare_names,
    compare_options,
    compare_comments,
)
