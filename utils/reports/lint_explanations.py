"""What each code of lint means and what to do about it; the page of the code says the same at length."""

from __future__ import annotations

__all__ = ["LINT_EXPLANATIONS"]

LINT_EXPLANATIONS: dict[str, tuple[str, str]] = {
    "DL001": (
        "A comment suppresses a finding that is not there.",
        "Remove the code from the comment.",
    ),
    "DL002": (
        "A comment that suppresses findings names no code of lint.",
        "Write a code or a name in brackets, such as ignore[DL101].",
    ),
    "DL101": (
        "A Decimal without digits is a different type in every database.",
        "Give it max_digits and decimal_places.",
    ),
    "DL102": (
        "A text without a length ends at 255 characters on MySQL, and nowhere else.",
        "Give it max_length, or sa_type=Text where it may be of any length.",
    ),
    "DL103": (
        "The field has a limit that SQLModel does not pass on to the column.",
        "Move the limit into Field, beside no other sa_type, or give the type the limit.",
    ),
    "DL104": (
        "A datetime without a time zone is another time in every database.",
        "Use time_field(); where a wall clock is meant, say so with NaiveDatetime.",
    ),
    "DL105": (
        "MySQL drops the microseconds of a time unless it is asked to keep them.",
        "Use `time_field()` for points in time and `LocalTime` for times of day: they ask MySQL for six digits.",
    ),
    "DL106": (
        "The integer has 32 bits, and its numbers may need more.",
        "Use BigInteger.",
    ),
    "DL107": (
        "The names of the enum's members are stored, and not their values.",
        "Give the Enum values_callable.",
    ),
    "DL108": (
        "A dict or list has no type of its own in a database.",
        "Give it sa_type=JSON.",
    ),
    "DL109": (
        "A Float keeps about 7 digits on MySQL and about 15 elsewhere.",
        "Use sa_type=Double.",
    ),
    "DL201": (
        "The description of the field is not the comment of the column.",
        "Give the column a comment by sa_column_kwargs.",
    ),
    "DL202": (
        "The default of the field is no default of the column: only Python knows it.",
        "Give the column a server_default by sa_column_kwargs.",
    ),
    "DL203": (
        "A limit of the field is checked by no database, and SQLModel does not check it in a table class.",
        "Add a CHECK constraint.",
    ),
    "DL204": (
        "The column takes NULL, and the field takes no None.",
        "Give the column nullable=False, or let the field take None.",
    ),
    "DL301": (
        "A name is longer than a database takes.",
        "Give it a shorter one.",
    ),
    "DL302": (
        "A name is a reserved word in a database.",
        "Choose another name, or quote it in every SQL that is written by hand.",
    ),
    "DL303": (
        "The names of two columns differ only in case.",
        "Give one of them another name.",
    ),
    "DL401": (
        "An index or key has entries that are wider than a database takes.",
        "Shorten the columns, or leave some out of the index.",
    ),
    "DL402": (
        "A float is part of a key.",
        "Use a Decimal with digits, an integer or a text.",
    ),
    "DL403": (
        "A foreign key has no index on all databases.",
        "Give the field index=True, or add an index that begins with the key's columns.",
    ),
    "DL404": (
        "Nothing identifies a row of the Silver table but a number that is made for it.",
        "Add a unique key of the business, or make it the primary key.",
    ),
    "DL501": (
        "A base class holds a Column object, and only one table class can take it.",
        "Give the field sa_type and the other options of Field.",
    ),
    "DL502": (
        "A Bronze table lacks the columns of BronzeMetadata.",
        "Derive the class from BronzeMetadata first.",
    ),
}
"""Code -> meaning and advice, a sentence each."""
