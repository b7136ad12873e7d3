"""The `tramontane` command: picks a subcommand."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from tramontane.version import __version__

from .ending import ended
from .foreign_words import ALIASES, HINTS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from tramontane.registry import Registry

BUILT_IN = {
    "run": "Chat with a model, or answer once.",
    "embed": "Make vectors of texts.",
    "rank": "Order documents by how well they answer a query.",
    "speak": "Speak a text.",
    "image": "Make images of a description.",
    "bench": "Measure how fast a model runs here.",
    "perplexity": "Measure how well a model predicts a text.",
    "tokenize": "Show the tokens of a text.",
    "transcribe": "Write down the speech in a sound.",
    "inspect": "Show what a model file contains, without loading it.",
    "verify": "Compare a model's numbers with another implementation's.",
    "plugins": "List the installed plugins and what each offers.",
    "models": "List the supported model families, installed or not.",
    "new": "Create the files of a new plugin.",
    "quantize": "Write a model in fewer bits.",
    "imatrix": "Measure which parts of a model's matrices matter, for quantizing.",
    "tune": "Show in how many bits a model fits this machine.",
    "pull": "Download a model, so that it runs without a network.",
    "list": "List the models on this machine.",
    "rm": "Remove downloaded models.",
    "warmup": "Compile a model's kernels for this machine in advance.",
    "cache": "Show or clear what was prepared for a quicker start.",
    "login": "Keep a token of the hub, for models that need one.",
    "config": "Show your configuration file, and what it says.",
    "update-check": "Ask whether there is a newer version; nothing asks by itself.",
    "completion": "Print a script for a shell's completion of commands and options.",
    "doctor": "Check this machine and the installation, and show how to fix problems.",
}

EXAMPLES = """\
examples:
  tramontane run                                chat with the small embedded model
  tramontane run model.gguf                     chat with a model in a file
  tramontane run org/name -i "Why is the sky blue?"
  tramontane COMMAND --help                     the options of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0, 1 for an error, 2 for wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    asked = {"-v", "--verbose"} & {*arguments}
    verbose = bool(os.environ.get("TRAMONTANE_DEBUG")) or bool(asked)
    program = " ".join(["tramontane", *arguments[:1]])
    return ended(lambda: _dispatch(arguments), program, verbose=verbose)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    name, rest = arguments[0], arguments[1:]
    name = ALIASES.get(name, name)
    if name in ("-V", "--version", "version"):
        print(f"tramontane {__version__}")
        return 0
    if name in BUILT_IN:
        return int(import_module(f"tramontane.cli.{module_of(name)}").run(rest))
    from tramontane.plugin import Command, load
    from tramontane.registry import Registry

    registry = Registry.from_environment()
    if name in registry.names("commands"):
        return int(load(registry.get(Command, name).run)(rest))
    print(f"error: {_unknown(name, registry)}", file=sys.stderr)
    return 2


def module_of(name: str) -> str:
    """The module of a built-in command, in this package."""
    return name.replace("-", "_")


def _help() -> str:
    from tramontane.registry import entries_of

    commands = BUILT_IN | installed_commands(entries_of("commands"))
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in commands.items()]
    return (
        "usage: tramontane COMMAND [OPTIONS]\n\n"
        "Tramontane runs models that read, see, hear, write, draw and speak.\n\ncommands:\n"
        + "\n".join(lines)
        + "\n\noptions:\n  -h, --help     show this help\n  -V, --version  show the version\n\n"
        + EXAMPLES.rstrip()
    )


def installed_commands(entries: Iterable[EntryPoint]) -> dict[str, str]:
    """Summaries of plugins' commands by name; nothing is imported, so those of others than us are
    their distributions'."""
    from tramontane.registry import known

    ours, ours_in = known("summaries"), known("commands")
    found = {}
    for entry in entries:
        name = entry.dist.name if entry.dist else ""
        if entry.name in BUILT_IN:  # what ours does is in its help
            continue
        if entry.name in ours and ours_in.get(entry.name) == name:
            found[entry.name] = ours[entry.name]
        else:
            about = (entry.dist.metadata["Summary"] if entry.dist else None) or "no summary"
            found[entry.name] = f"{about.rstrip('.')} ({name or 'no distribution'})"
    return dict(sorted(found.items()))


def _unknown(name: str, registry: Registry) -> str:
    import difflib

    from tramontane.registry import known

    said = f"there is no command {name!r}"
    ours = known("commands")
    if name in ours:
        return f"{said}; to get it: pip install {ours[name]}"
    there = [*BUILT_IN, *registry.names("commands")]
    if name in HINTS:
        return f"{said}: {HINTS[name]}"
    if close := difflib.get_close_matches(name, [*there, *ours], 1):
        return f"{said}; did you mean {close[0]!r}?"
    return f"{said}; commands: {', '.join(there)}"
