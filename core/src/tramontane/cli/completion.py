"""`tramontane completion`: a script with which a shell completes commands, options and choices.

The scripts are static: they call nothing when the user presses Tab. After installing a plugin with
a command the script has to be written again.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from tramontane.plugin import Command, load
from tramontane.registry import Registry

from .main import BUILT_IN, installed_commands
from .parser import COLLECTED, Parser

SUMMARY = "Print a script for a shell's completion of commands, options and choices."
EXAMPLES = """\
examples:
  tramontane completion bash > ~/.local/share/bash-completion/completions/tramontane
  tramontane completion zsh > ~/.zfunc/_tramontane      ~/.zfunc must be in fpath
  tramontane completion fish > ~/.config/fish/completions/tramontane.fish
"""


@dataclass(frozen=True)
class Option:
    """names: all spellings. about: one line of help. choices: values, empty if any is valid."""

    names: tuple[str, ...]
    about: str
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """What can follow a command: options, and choices of its first argument."""

    summary: str
    options: tuple[Option, ...]
    arguments: tuple[str, ...]


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
    found: dict[str, Words] = {}
    for name, summary in (BUILT_IN | installed_commands(registry)).items():
        if name in BUILT_IN:
            command = import_module(f"tramontane.cli.{name}").run
        else:
            command = load(registry.get(Command, name).run)
        token = COLLECTED.set(_stop)
        try:
            command([])
            found[name] = Words(summary, (), ())  # it does not use our Parser
        except _Collected as collected:
            found[name] = _words(summary, collected.parser)
        finally:
            COLLECTED.reset(token)
    return found


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


def bash(commands: dict[str, Words]) -> str:
    """A function for `complete -F`; files are offered where nothing else is known."""
    cases = []
    for name, words in commands.items():
        values = [
            f"                {'|'.join(option.names)}) words='{' '.join(option.choices)}' ;;"
            for option in words.options
            if option.takes_value
        ]
        all_options = " ".join(each for option in words.options for each in option.names)
        cases += [
            f"        {name})",
            '            case "$previous" in',
            *values,
            f"                *) options='{all_options}' words='{' '.join(words.arguments)}' ;;",
            "            esac",
            "            ;;",
        ]
    body = "\n".join(cases)
    return f"""\
# bash completion of tramontane, by: tramontane completion bash
_tramontane() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    local words='' options=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(commands)} --help --version' -- "$current"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{body}
    esac
    case "$current" in -*) words=$options ;; esac
    if [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    fi
}}
complete -o bashdefault -o default -F _tramontane tramontane
"""


def zsh(commands: dict[str, Words]) -> str:
    """A function that calls `_arguments` with the options of the command."""
    listed = "\n".join(f"    {_quoted(f'{n}:{w.summary}')}" for n, w in commands.items())
    cases = []
    for name, words in commands.items():
        arguments = [*_zsh_options(words), _zsh_argument(words)]
        joined = " \\\n        ".join(arguments)
        cases.append(f"    {name}) _arguments -s \\\n        {joined} ;;")
    body = "\n".join(cases)
    return f"""\
#compdef tramontane
# zsh completion of tramontane, by: tramontane completion zsh
_tramontane() {{
  local -a commands
  commands=(
{listed}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case "$words[1]" in
{body}
  esac
}}
if [ "$funcstack[1]" = _tramontane ]; then _tramontane "$@"; else compdef _tramontane tramontane; fi
"""


def _zsh_options(words: Words) -> Iterator[str]:
    for option in words.options:
        about = re.sub(r"([][:])", r"\\\1", option.about)
        value = f":value:({' '.join(option.choices)})" if option.choices else ":value:_files"
        for name in option.names:
            yield _quoted(f"*{name}[{about}]{value if option.takes_value else ''}")


def _zsh_argument(words: Words) -> str:
    if words.arguments:
        return _quoted(f"*:argument:({' '.join(words.arguments)})")
    return _quoted("*:file:_files")


def fish(commands: dict[str, Words]) -> str:
    """A line for each command and option."""
    lines = ["# fish completion of tramontane, by: tramontane completion fish"]
    for name, words in commands.items():
        about = _quoted(words.summary)
        lines.append(f"complete -c tramontane -f -n __fish_use_subcommand -a {name} -d {about}")
    for name, words in commands.items():
        start = f"complete -c tramontane -n '__fish_seen_subcommand_from {name}'"
        for option in words.options:
            names = " ".join(
                f"-l {each[2:]}" if each.startswith("--") else f"-s {each[1:]}"
                for each in option.names
            )
            value = ""
            if option.choices:
                value = f" -x -a '{' '.join(option.choices)}'"
            elif option.takes_value:
                value = " -r"
            lines.append(f"{start} {names}{value} -d {_quoted(option.about)}")
        if words.arguments:
            lines.append(f"{start} -a '{' '.join(words.arguments)}'")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}
