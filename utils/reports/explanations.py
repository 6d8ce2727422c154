"""What each code means and what to do about it; docs/findings.md says the same at length, a test compares."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, tuple[str, str]] = {
    "DK101": (
        "The database has no table of this name.",
        "Deploy with --if-exists skip, or rename the table if the class was renamed.",
    ),
    "DK102": (
        "There is something of this name, but it is no table: a view, for example.",
        "Rename or drop it, then deploy the table; or correct the class's table name.",
    ),
    "DK103": (
        "The database has a table that no class defines.",
        "Write a class for it, drop it, or validate without --strict.",
    ),
    "DK104": (
        "The table has another option: engine, row format, collation or partitions on MySQL, STRICT or WITHOUT ROWID on SQLite.",
        "Set the option as the class says, or correct the class.",
    ),
    "DK105": (
        "The table has another comment, or none.",
        "Set the comment; it changes no row.",
    ),
    "DK201": (
        "The table has no such column.",
        "Add the column, or rename the one that was meant.",
    ),
    "DK202": (
        "The table has a column that the class does not have.",
        "Add a field to the class, drop the column, or validate without --strict.",
    ),
    "DK203": (
        "The table has a column that the class does not know, takes no NULL and has no default: inserts through the class fail.",
        "Give the column a default, let it take NULL, or add a field to the class.",
    ),
    "DK204": (
        "The columns stand in another order than in the class.",
        "Name the columns in every INSERT and SELECT, or create the table anew.",
    ),
    "DK211": (
        "The column has another type, length, precision, scale or time zone.",
        "Check that the rows fit, then change the column's type; or correct the class.",
    ),
    "DK212": (
        "One side lets the column be NULL and the other does not.",
        "Fill the NULLs, then set or drop NOT NULL; or correct the class.",
    ),
    "DK213": (
        "The column has another server default, or none.",
        "Set the default; rows that are there keep their values.",
    ),
    "DK214": (
        "The column is computed on one side only, computed by another expression, or stored on one side only.",
        "Drop the column and add it anew; its values are computed again.",
    ),
    "DK215": (
        "The column numbers its rows in another way: identity, sequence or autoincrement.",
        "Give the column the numbering of the class, starting above the highest number in the table.",
    ),
    "DK216": (
        "The column has another collation or character set, so it sorts and compares in another way.",
        "Change the collation; indexes on the column are built anew.",
    ),
    "DK217": (
        "The column has another comment, or none.",
        "Set the comment; it changes no row.",
    ),
    "DK218": (
        "The enum has other members, or the same in another order.",
        "Add the members that are missing; to remove one, correct its rows first.",
    ),
    "DK301": (
        "The primary key has other columns, another order of them, or is missing.",
        "Check that the rows are unique, then drop the key and create it anew.",
    ),
    "DK401": (
        "The table lacks a foreign key of the class.",
        "Correct the rows that point nowhere, then add the foreign key.",
    ),
    "DK402": (
        "The table has a foreign key that the class does not have.",
        "Add it to the class, or drop it.",
    ),
    "DK403": (
        "The foreign key is there, but points elsewhere or has other rules for ON DELETE, ON UPDATE or DEFERRABLE.",
        "Drop the foreign key and add the expected one.",
    ),
    "DK501": (
        "The table lacks a unique constraint of the class.",
        "Remove the duplicates, then add the constraint.",
    ),
    "DK502": (
        "The table has a unique constraint that the class does not have: it may refuse rows that the class allows.",
        "Add it to the class, or drop it.",
    ),
    "DK503": (
        "The unique constraint is there, with other columns, another order of them or another rule.",
        "Drop the constraint and add the expected one.",
    ),
    "DK601": (
        "The table lacks an index of the class.",
        "Create the index; on a busy PostgreSQL with CONCURRENTLY.",
    ),
    "DK602": (
        "The table has an index that the class does not have.",
        "Add it to the class, or drop it if nothing uses it.",
    ),
    "DK603": (
        "The index is there, with other columns, order, uniqueness, method, condition or included columns.",
        "Create the expected index, then drop the old one.",
    ),
    "DK604": (
        "The table has a unique index that the class does not have: it refuses rows that the class allows.",
        "Add it to the class, or drop it.",
    ),
    "DK701": (
        "The table lacks a CHECK constraint of the class.",
        "Correct the rows that break it, then add the constraint.",
    ),
    "DK702": (
        "The table has a CHECK constraint that the class does not have: it may refuse rows that the class allows.",
        "Add it to the class, or drop it.",
    ),
    "DK703": (
        "The CHECK constraint is there, with another condition.",
        "Correct the rows that break the condition of the class, then drop the constraint and add the expected one.",
    ),
    "DK801": (
        "A constraint or an index does what the class says, under another name.",
        "Rename it, or leave it: rows are treated alike, but DROP and ALTER by name would fail.",
    ),
    "DK901": (
        "A value was written without an error, and another one is read.",
        "Give the column the type of the class, or the class a type that the database keeps.",
    ),
    "DK902": (
        "The database refuses a row that the class allows.",
        "Widen the column or drop the rule that only the database has; or say the limit in the class.",
    ),
    "DK903": (
        "A row was written without an error and is not there.",
        "Look for triggers and rules that skip rows or change keys.",
    ),
    "DK911": (
        "The database accepts a row that the class forbids.",
        "Correct the rows that are there, then add the rule or switch it on.",
    ),
}
"""Code -> meaning and advice, a sentence each."""
