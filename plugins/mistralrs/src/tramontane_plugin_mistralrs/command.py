"""The commands `mistralrs` and `mistralrs-server`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tramontane.cli.ending import ended
from tramontane.cli.main import main as tramontane
from tramontane.cli.parser import COLLECTED, Parser
from tramontane.version import __version__

from . import environment, files
from .parallel import add_parallel
from .parse import MISTRALRS, SERVER, Given, Program, parse
from .plan import Plan
from .tools import add_mode
from .translate import translate

TRANSLATE = "--translate"
"""Given first: show our command line instead of running it."""


def mistralrs(argv: Sequence[str] | None = None) -> int:
    """Run a command line of mistral.rs 0.7 and later; returns the exit status."""
    return _guarded(MISTRALRS, argv)


def mistralrs_server(argv: Sequence[str] | None = None) -> int:
    """Run a command line of mistral.rs up to 0.6; returns the exit status."""
    return _guarded(SERVER, argv)


def command(arguments: list[str]) -> int:
    """`tramontane mistralrs`. Raises TramontaneError."""
    if (collected := COLLECTED.get()) is not None:
        collected(Parser("tramontane mistralrs", section=""))
    return run(MISTRALRS, arguments)


def _guarded(program: Program, argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = bool(os.environ.get("TRAMONTANE_DEBUG"))
    return ended(lambda: run(program, arguments), program.name, verbose=verbose)


def run(program: Program, arguments: list[str]) -> int:
    """Translate a command line, and run it. Raises TramontaneError."""
    from .help import help_text

    if (text := help_text(program, arguments)) is not None:
        print(text)
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"{program.name} {__version__} (Tramontane)")
        return 0
    shows = arguments[0] == TRANSLATE
    given = parse(program, arguments[shows:])
    if given.selector.name == "completions":
        from .completions import script

        print(script(given.words), end="")
        return 0
    plan, settings = plan_of(given)
    notes = environment.notes(os.environ)
    _add_environment(plan)
    if shows:
        print(plan.shown())
        return 0
    for note in (*notes, *plan.notes):
        print(note, file=sys.stderr)
    return _run(plan, given, settings)


def plan_of(given: Given) -> tuple[Plan, dict[str, object]]:
    """What a command line is here, and its settings of [anymoe]. Raises TramontaneError."""
    runs = given.selector.name
    if runs == "toml":
        return files.selected(given)
    if runs == "multi-model":
        return files.several(given), {}
    if runs == "from-config":
        return files.configured(given), {}
    return translate(given), {}


def _add_environment(plan: Plan) -> None:
    add_parallel(plan, os.environ)
    if mode := os.environ.get("MISTRALRS_SANDBOX"):
        add_mode(plan, mode)
    for name, value in environment.options(os.environ, plan.command).items():
        target = plan.loading if name == "mmap" else plan.options
        target.setdefault(name, value)


def _run(plan: Plan, given: Given, settings: dict[str, object]) -> int:
    if settings:
        from .anymoe import add_anymoe

        add_anymoe(plan, str(given.value("file")), tramontane)
    debug = bool(os.environ.get("MISTRALRS_DEBUG"))
    if plan.checks or debug:
        from .look import look

        for line in look(plan, debug):
            print(line, file=sys.stderr)
    if plan.template_of is not None:
        from .template import fetch

        target = plan.loading
        cache = target.get("hf_cache")
        found = fetch(plan.template_of, str(target.get("token_source", "cache")), cache)
        target |= {} if found is None else {"chat_template": found}
    if plan.command in ("image", "speak") and "input" not in plan.options:
        from .cli.prompts import converse

        return converse(plan.command, plan.options)
    if len(plan.models) < 2:
        return tramontane(plan.arguments())
    with tempfile.TemporaryDirectory(prefix="mistralrs-") as folder:
        path = Path(folder) / "models.toml"
        path.write_text(plan.toml(), "utf-8")
        return tramontane(["serve", "--config", str(path), *plan.words])
