"""The test support: fresh databases, the pytest plugin, and assertions on rows."""
