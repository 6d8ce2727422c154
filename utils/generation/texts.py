"""Texts as they stand in columns of this name: pools made once by Faker, in its locale en_US."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from sqlmodel_framework.base.errors import MissingExtraError
from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.patterns import texts_matching

__all__ = ["provider_of", "text_pool", "words_of"]

_POOL = 1_000
_EXTRACTION_METHODS = ("full_snapshot", "incremental", "query")
_SOURCE_SYSTEMS = ("billing", "crm", "erp", "shop", "warehouse")
_SOURCE_TABLES = ("public.customer", "public.invoice", "public.item", "public.order", "public.product")
_STATUSES = ("new", "open", "active", "pending", "paused", "done", "closed", "cancelled")
_CATEGORIES = ("basic", "standard", "premium", "internal", "partner", "trial")

# The first that is found in a column's name (words joined by one underscore) says what its texts are. None: a code.
_PROVIDERS: list[tuple[str, str | None]] = [
    (r"bronze_source_system|source_system|^source$", "source_system"),
    (r"bronze_source_table|source_table|table_name", "source_table"),
    (r"source_host|host_?name|^host$|domain|server", "domain_name"),
    (r"extraction_method", "extraction_method"),
    (r"batch_id", "batch"),
    (r"e_?mail", "email"),
    (r"(first|given|fore|middle)_?name", "first_name"),
    (r"(last|family|sur)_?name", "last_name"),
    (r"user_?name|login|nick_?name|^user$|handle|account_name", "user_name"),
    (
        r"company|employer|organi[sz]ation|vendor|supplier|manufacturer|airline|brand|merchant|carrier_name",
        "company",
    ),
    (r"country_code|country_iso|iso_country", "country_code"),
    (r"country|nationality", "country"),
    (r"currency", "currency_code"),
    (r"language_code|locale", "language_code"),
    (r"language", "language_name"),
    (r"state_code|state_abbr", "state_abbr"),
    (r"^state$|province|district|region|county", "state"),
    (r"post_?(al_?)?code|^zip(_?code)?$|_zip$", "postcode"),
    (r"city|town|municipality|birth_?place", "city"),
    (r"address_?(line_?)?2|suite|apartment", "secondary_address"),
    (r"mac_?address", "mac_address"),
    (r"^ip$|ip_?(address|v4)|_ip$", "ipv4"),
    (r"address|street", "street_address"),
    (r"phone|mobile|fax|^tel$", "phone_number"),
    (r"time_?zone|^tz(one|_name)?$|tzone", "timezone"),
    (r"(^|_)(url|uri|link|website|homepage|image|avatar)$", "url"),
    (r"user_?agent", "user_agent"),
    (r"file_?name|^file$|^path$|_path$", "file_name"),
    (r"mime_?type|content_type", "mime_type"),
    (r"iban", "iban"),
    (r"ean|barcode|isbn", "ean13"),
    (r"colou?r", "color_name"),
    (r"job|occupation|profession|position|role", "job"),
    (r"status$|stage", "status"),
    (r"category|kind|type|segment|tier|class$|level", "category"),
    (r"uuid|guid|token|hash|checksum", "uuid4"),
    (r"code|sku|number|_no$|key|^id$|_id$|ref(erence)?$|tail_?num|serial|abbr|iso", None),
    (r"title|subject|headline|caption|product|film|movie|item", "title"),
    (r"desc|note|comment|text|summary|remark|message|body|content|bio|about|review|reason", "sentence"),
    (r"(full|customer|person|contact|employee|owner|author|actor|patient|student|staff|guest)_?name", "name"),
    (r"author|customer|employee|contact|owner|manager|created_by|updated_by|assignee|reviewer|^by$", "name"),
    (r"^name$", "name_of_table"),
    (r"name|label", "title"),
]
_PEOPLE = re.compile(
    r"customer|person|people|user|employee|staff|actor|author|contact|patient|student|member|guest|driver"
)


def words_of(name: str) -> str:
    """A column's name in small letters, its words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def provider_of(column: ColumnContract) -> str | None:
    """What the texts of a column are, by its name; None for codes."""
    words = words_of(column.name)
    found = next((provider for part, provider in _PROVIDERS if re.search(part, words)), "words")
    if found == "name_of_table":
        return _provider_by_table(words_of(str(column.column.table.name)))
    return found


def _provider_by_table(table: str) -> str:
    if _PEOPLE.search(table):
        return "name"
    for part, provider in _PROVIDERS:
        if provider in ("country", "city", "language_name", "company", "currency_code") and re.search(
            part, table
        ):
            return "currency_name" if provider == "currency_code" else provider
    return "title"


def text_pool(column: ColumnContract, seed: int, where: str) -> list[str] | None:
    """The texts of a column, up to a thousand, all within its lengths and pattern; None for codes.

    Raises RowsNotGeneratedError for a pattern without a match, MissingExtraError without the extra `testing`.
    """
    least, most = column.min_length or 0, column.max_length
    pattern = column.limits.pattern
    provider = provider_of(column)
    if pattern is not None:
        natural = (
            [text for text in _natural(column, provider, seed) if re.search(pattern, text)]
            if _readable(pattern)
            else []
        )
        if len(natural) >= _POOL // 20:
            return natural
        return texts_matching(
            pattern, min_length=least, max_length=most, count=_POOL, seed=f"{seed}/{where}", where=where
        )
    if provider is None or (most is not None and most < 4 and provider not in _SHORT):
        return None
    return _natural(column, provider, seed) or None


_SHORT = frozenset({"country_code", "currency_code", "language_code", "state_abbr"})


def _readable(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _natural(column: ColumnContract, provider: str | None, seed: int) -> list[str]:
    """The provider's texts within the lengths; too short ones are joined with others, too long ones cut where none fits."""
    if provider is None:
        return []
    least, most = column.min_length or 0, column.max_length
    pool = _pool(provider, seed)
    fitting = [text for text in pool if len(text) >= least and (most is None or len(text) <= most)]
    if len(fitting) >= min(len(pool), 20) or (most is not None and most == 0):
        return fitting
    return fitting or list(dict.fromkeys(_stretched(pool, least, most)))


def _stretched(pool: Sequence[str], least: int, most: int | None) -> Sequence[str]:
    made = []
    for number, text in enumerate(pool):
        longer, follower = text, number
        while len(longer) < least:
            follower += 1
            longer = f"{longer} {pool[follower % len(pool)]}" if longer else pool[follower % len(pool)] or "x"
        # A text that ends with a blank is another one on some databases.
        made.append((longer if most is None else longer[:most]).strip().ljust(least, "x"))
    return made


@lru_cache(maxsize=256)
def _pool(provider: str, seed: int) -> tuple[str, ...]:
    own = _OWN.get(provider)
    if isinstance(own, tuple):
        return own
    random = Random(f"{seed}/{provider}")  # noqa: S311 - test data
    faker = _faker(seed, provider)
    make: Callable[[], Any] = (lambda: own(faker, random)) if own else getattr(faker, provider)
    return tuple(dict.fromkeys(str(make()) for _ in range(_POOL)))


def _faker(seed: int, provider: str) -> Any:
    try:
        from faker import Faker
    except ImportError as exc:
        raise MissingExtraError("testing", needed_for="generating rows with texts") from exc
    faker = Faker("en_US")
    faker.seed_instance(f"{seed}/{provider}")
    return faker


def _title(faker: Any, random: Random) -> str:
    return " ".join(faker.word() for _ in range(random.randint(1, 3))).title()


def _words(faker: Any, random: Random) -> str:
    return " ".join(faker.word() for _ in range(random.randint(1, 2)))


def _batch(_: Any, random: Random) -> str:
    return f"batch-2025{random.randint(4, 6):02}{random.randint(1, 28):02}-{random.randint(0, 23):02}00"


def _phone(_: Any, random: Random) -> str:
    # 555-01xx belongs to nobody.
    return f"({random.randint(201, 989)}) 555-01{random.randint(0, 99):02}"


_OWN: dict[str, Any] = {
    "source_system": _SOURCE_SYSTEMS,
    "source_table": _SOURCE_TABLES,
    "extraction_method": _EXTRACTION_METHODS,
    "status": _STATUSES,
    "category": _CATEGORIES,
    "batch": _batch,
    "phone_number": _phone,
    "title": _title,
    "words": _words,
    "currency_name": lambda faker, _: faker.currency_name(),
}
