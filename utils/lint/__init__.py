"""What the classes of a datakit lose or mean differently on some database, found before any DDL."""
