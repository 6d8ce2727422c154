"""One Typer program a file; `datakit` is all of them as subcommands."""
