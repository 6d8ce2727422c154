"""The files of a lake: where they stand, their formats, their publication."""
