"""What a datakit and a pipeline are made of; knows no command line, no YAML and no engine."""
