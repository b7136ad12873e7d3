"""Which options a command of ours has in this installation."""

from __future__ import annotations

from tramontane.cli.completion import words_of


def options_of(command: str) -> frozenset[str]:
    """Long names with underscores; empty for a command that is not there."""
    words = words_of(command)
    if words is None:
        return frozenset()
    names = (name for option in words.options for name in option.names)
    return frozenset(name[2:].replace("-", "_") for name in names if name.startswith("--"))
