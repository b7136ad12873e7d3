"""`mistralrs completions SHELL`: a script of our own completion, of these tables."""

from __future__ import annotations

from collections.abc import Sequence

from tramontane.cli.completion_scripts import SCRIPTS, Words
from tramontane.cli.completion_scripts import Option as Word
from tramontane.errors import UsageError

from .option import Refused
from .parse import MISTRALRS


def script(words: Sequence[str]) -> str:
    """The script for a shell. Raises UsageError for one that has none."""
    shell = words[0] if words else ""
    if shell not in SCRIPTS:
        raise UsageError(f"completions {shell}: must be {', '.join(SCRIPTS)}".replace("  ", " "))
    return SCRIPTS[shell](commands(), MISTRALRS.name)


def commands() -> dict[str, Words]:
    """The words of each subcommand."""
    found = {}
    for selector in MISTRALRS.selectors:
        options = tuple(
            Word(option.names, str(option.ours).replace("`", ""), bool(option.value), ())
            for option in (*selector.options, *MISTRALRS.options)
            if not isinstance(option.ours, Refused | dict)
        )
        arguments = (
            *selector.kinds,
            *(each for word in selector.words for each in word.split("|")),
        )
        found[selector.name] = Words(selector.about, options, arguments)
    return found
