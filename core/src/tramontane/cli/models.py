"""`tramontane models`: which model families are installed, and which could be."""

from __future__ import annotations

import json
import shutil
import textwrap

from tramontane.registry import Registry, known

from .color import paint
from .parser import Parser

SUMMARY = "List the supported model families, installed or not."


def run(argv: list[str]) -> int:
    """Print the names by which configurations and files call models, by distribution."""
    parser = Parser("tramontane models", description=SUMMARY)
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    options = parser.parse_args(argv)
    installed = _installed(Registry.from_environment())
    there = {name for names in installed.values() for name in names}
    others: dict[str, list[str]] = {}
    for name, distribution in known("architectures").items():
        if name not in there:
            others.setdefault(distribution, []).append(name)
    if options.json:
        print(json.dumps({"installed": installed, "available": others}, indent=2))
        return 0
    for distribution, names in installed.items():
        _print(paint(distribution, "bold"), names)
    if others:
        print("not installed; to install one: pip install NAME\n")
        for distribution, names in others.items():
            _print(paint(distribution, "dim"), names)
    return 0


def _installed(registry: Registry) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in registry.entries("architectures"):
        name = entry.dist.name if entry.dist else "unknown"
        found.setdefault(name, []).append(entry.name)
    return {name: sorted(found[name], key=str.lower) for name in sorted(found)}


def _print(title: str, names: list[str]) -> None:
    width = max(40, shutil.get_terminal_size().columns)
    listed = textwrap.fill(", ".join(names), width, initial_indent="  ", subsequent_indent="  ")
    print(f"{title}\n{listed}\n")
