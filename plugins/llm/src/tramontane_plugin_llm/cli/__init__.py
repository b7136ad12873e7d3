"""Its subcommands, one to a file."""
