"""Where things run: one file an engine, the same methods in the same order in each."""
