"""The pipelines: Bronze ingestion."""
