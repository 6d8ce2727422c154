"""What table classes are made of: mixins, metadata columns, the UTC time type, the contract reading."""

from sqlmodel_framework.base.models.bronze import BronzeMetadata
from sqlmodel_framework.base.models.columns import MetadataColumns, time_field
from sqlmodel_framework.base.models.contract import ColumnContract, Contract, contract_of
from sqlmodel_framework.base.models.mixins import (
    ReferenceTable,
    ReferenceTableMixin,
    TemporalTable,
    TemporalTableMixin,
    TransactionalTable,
    TransactionalTableMixin,
)
from sqlmodel_framework.base.models.silver import SilverMetadata
from sqlmodel_framework.base.models.utc import LocalTime, UTCDateTime, utc_now

__all__ = [
    "BronzeMetadata",
    "ColumnContract",
    "Contract",
    "LocalTime",
    "MetadataColumns",
    "ReferenceTable",
    "ReferenceTableMixin",
    "SilverMetadata",
    "TemporalTable",
    "TemporalTableMixin",
    "TransactionalTable",
    "TransactionalTableMixin",
    "UTCDateTime",
    "contract_of",
    "time_field",
    "utc_now",
]
