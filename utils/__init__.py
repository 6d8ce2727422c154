"""The verbs on datakits: discover, deploy, validate, load, report."""
