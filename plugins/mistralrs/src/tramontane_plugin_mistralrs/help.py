"""`--help` of both commands, from the tables."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from .option import Option, Refused, Selector
from .parse import Program

HELP = ("-h", "--help", "--help-all")
WIDTH = 30


def help_text(program: Program, arguments: list[str]) -> str | None:
    """What to print; None: nobody asks for help."""
    if not arguments or arguments[0] in HELP:
        return _of_program(program)
    asked = next((index for index, each in enumerate(arguments) if each in HELP), None)
    if asked is None:
        return None
    names = [each for each in arguments[:asked] if any(each in s.names for s in program.selectors)]
    return _of_program(program) if not names else _of(program, program.selector(names[0]))


def _of_program(program: Program) -> str:
    lines = [
        f"usage: {_called(program)} [OPTIONS] SUBCOMMAND [OPTIONS]", "",
        "mistral.rs's command line, run by Tramontane. With --translate first, the command of",
        "tramontane's own is shown instead of run.", "", "subcommands:",
    ]  # fmt: skip
    lines += [
        f"  {', '.join(each.names):<{WIDTH}}{each.about}"
        for each in program.selectors
        if each.about
    ]
    lines += ["", "options before the subcommand:", *_options(program.options)]
    return "\n".join(lines)


def _called(program: Program) -> str:
    ours = Path(sys.argv[0]).name != program.name and program.name == "mistralrs"
    return f"tramontane {program.name}" if ours else program.name


def _of(program: Program, selector: Selector) -> str:
    words = [f"[{'|'.join(selector.kinds)}]"] if selector.kinds else []
    usage = " ".join([program.name, selector.name, *words, *selector.words, "[OPTIONS]"])
    return "\n".join([f"usage: {usage}", "", f"{selector.about}.", "", "options:",
                      *_options(selector.options)])  # fmt: skip


def _options(options: Iterable[Option]) -> list[str]:
    lines = []
    for option in options:
        if isinstance(option.ours, Refused):
            continue  # the page lists them, and the error says why
        names = f"{', '.join(option.names)} {option.value}".strip()
        ours = option.ours if not isinstance(option.ours, dict) else _main(option)
        said = textwrap.wrap(str(ours).replace("`", ""), 70)
        start = f"  {names:<{WIDTH}}"
        if len(names) >= WIDTH:
            lines.append(f"  {names}")
            start = " " * (WIDTH + 2)
        lines.append(f"{start}{said[0]}")
        lines += [f"{' ' * (WIDTH + 2)}{line}" for line in said[1:]]
    return lines


def _main(option: Option) -> object:
    """What it becomes with some command, if there is one with which it becomes anything."""
    assert isinstance(option.ours, dict)
    told = [ours for ours in option.ours.values() if not isinstance(ours, Refused)]
    return next(iter(told), next(iter(option.ours.values())))
