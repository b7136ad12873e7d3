"""`tramontane config`: where the user's configuration file is, and what it says."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tramontane.errors import UsageError
from tramontane.plugin import Command, load
from tramontane.registry import Registry, known
from tramontane.system import paths

from .parser import Parser
from .user_config import read

SUMMARY = "Show where your configuration file is, and what it says."
EXAMPLES = """\
examples:
  tramontane config                            where the file is, and what it says
  tramontane config serve --config server.toml   the settings that `serve` would run with
"""
SERVE = "serve"


def run(argv: list[str]) -> int:
    """Print it, or for `config serve` what `tramontane serve` would run with."""
    if argv[:1] == [SERVE]:
        registry = Registry.from_environment()
        if "config" not in registry.names("commands"):
            raise UsageError(f"config serve: to get it: pip install {known('commands')['config']}")
        return int(load(registry.get(Command, "config").run)(argv[1:]))
    parser = Parser(
        "tramontane config",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command", nargs="?", choices=[SERVE],
        help="what `tramontane serve` would run with, all settings considered; has options of its "
        "own: tramontane config serve --help",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    options = parser.parse_args(argv)
    if options.command == SERVE:
        raise UsageError(
            "serve goes first, and then its own options: tramontane config serve [OPTIONS]"
        )
    path = paths.user_config()
    told = {} if path is None else read(path)
    if options.json:
        there = path is not None and path.is_file()
        shown = None if path is None else str(path)
        print(json.dumps({"path": shown, "exists": there, "settings": _hidden(told)}, default=str))
        return 0
    if path is None:
        print("no configuration file is read: TRAMONTANE_CONFIG is set to nothing")
    elif not path.is_file():
        print(f"{path} (not there yet; a section for each command, such as [run] model = ...)")
    else:
        print(path)
        for section, values in _sections(_hidden(told)):
            print(f"\n[{section}]")
            for key, value in values.items():
                print(f"{key} = {json.dumps(value, ensure_ascii=False, default=str)}")
    return 0


def _hidden(told: dict[str, Any]) -> dict[str, Any]:
    """The settings without what is secret."""
    found: dict[str, Any] = {}
    for key, value in told.items():
        if isinstance(value, dict):
            found[key] = _hidden(value)
        elif key.replace("-", "_") in ("api_key", "admin_key", "tool_dispatch_header") or (
            key.replace("-", "_") == "token_source" and str(value).startswith("literal:")
        ):
            found[key] = "(not shown)"
        else:
            found[key] = value
    return found


def _sections(told: dict[str, Any], above: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, values in told.items():
        own = {key: value for key, value in values.items() if not isinstance(value, dict)}
        inner = {key: value for key, value in values.items() if isinstance(value, dict)}
        if own:
            found.append((above + name, own))
        found += _sections(inner, f"{above}{name}.")
    return found
