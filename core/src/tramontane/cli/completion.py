"""`tramontane completion`: a script with which a shell completes commands, options and choices.

The scripts are static: they call nothing when the user presses Tab. After installing a plugin with
a command the script has to be written again.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import NoReturn

from tramontane.plugin import Command, load
from tramontane.registry import Registry

from .completion_scripts import SCRIPTS, Option, Words
from .main import BUILT_IN, installed_commands, module_of
from .parser import COLLECTED, Parser

SUMMARY = "Print a script for a shell's completion of commands, options and choices."
EXAMPLES = """\
examples:
  tramontane completion bash > ~/.local/share/bash-completion/completions/tramontane
  tramontane completion zsh > ~/.zfunc/_tramontane      ~/.zfunc must be in fpath
  tramontane completion fish > ~/.config/fish/completions/tramontane.fish
  tramontane completion powershell >> $PROFILE
"""


class _Collected(BaseException):
    """Ends a command where it would parse its arguments."""

    def __init__(self, parser: Parser) -> None:
        self.parser = parser


def run(argv: list[str]) -> int:
    """Print the script."""
    parser = Parser(
        "tramontane completion",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=list(SCRIPTS), help="the shell")
    options = parser.parse_args(argv)
    print(SCRIPTS[options.shell](collect()), end="")
    return 0


def collect() -> dict[str, Words]:
    """The words of each command, built-in and installed; none of them is run."""
    registry = Registry.from_environment()
    commands = BUILT_IN | installed_commands(registry.entries("commands"))
    return {name: _collected(name, summary, registry) for name, summary in commands.items()}


def words_of(name: str) -> Words | None:
    """The words of one command; None: there is no such command."""
    registry = Registry.from_environment()
    there = name in BUILT_IN or name in registry.names("commands")
    return _collected(name, "", registry) if there else None


def _collected(name: str, summary: str, registry: Registry) -> Words:
    if name in BUILT_IN:
        command = import_module(f"tramontane.cli.{module_of(name)}").run
    else:
        command = load(registry.get(Command, name).run)
    token = COLLECTED.set(_stop)
    try:
        command([])
    except _Collected as collected:
        return _words(summary, collected.parser)
    finally:
        COLLECTED.reset(token)
    return Words(summary, (), ())  # it does not use our Parser


def _stop(parser: Parser) -> NoReturn:
    raise _Collected(parser)


def _words(summary: str, parser: Parser) -> Words:
    options: list[Option] = []
    arguments: list[str] = []
    for action in parser._actions:
        choices = tuple(map(str, action.choices or ()))
        if action.option_strings:
            about = " ".join((action.help or "").replace("%%", "%").split())
            names = tuple(action.option_strings)
            options.append(Option(names, about, action.nargs != 0, choices))
        else:
            arguments += choices
    return Words(summary, tuple(options), tuple(arguments))
