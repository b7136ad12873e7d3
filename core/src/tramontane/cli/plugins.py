"""`tramontane plugins`: what is installed, what it offers, and what is wrong with it."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import Any

from tramontane.plugin import Offer
from tramontane.registry import Registry
from tramontane.registry.inventory import Installed, inventory
from tramontane.version import __version__

from .color import paint
from .parser import Parser

SUMMARY = "List the installed plugins, what each offers, and problems such as name clashes."


def run(argv: list[str]) -> int:
    """Print the list; 0 also when something is broken, which is what the list is for."""
    parser = Parser("tramontane plugins", description=SUMMARY)
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    options = parser.parse_args(argv)
    installed = inventory(Registry.from_environment())
    if options.json:
        json.dump(_as_json(installed), sys.stdout, indent=2)
        print()
    else:
        _print(installed)
    return 0


def _print(installed: list[Installed]) -> None:
    print(f"{paint('tramontane-core', 'bold')} {__version__}\n")
    for item in installed:
        print(f"{paint(item.name, 'bold')} {item.version}  {paint(item.summary, 'dim')}".rstrip())
        for kind, offers in item.offers.items():
            _row(kind, ", ".join(_said(offer) for offer in offers))
        if item.events:
            _row("listens to", ", ".join(item.events))
        for message in dict.fromkeys(str(trouble.error) for trouble in item.troubles):
            print(f"  {paint('problem', 'red')}         {message}")
        if not item.allowed:
            print(f"  {paint('not loaded', 'yellow')}      excluded by TRAMONTANE_PLUGINS")
        print()
    broken = sum(bool(item.troubles) for item in installed)
    count = f"{len(installed)} plugin{'' if len(installed) == 1 else 's'}"
    print(f"{count}, {paint(f'{broken} with problems', 'red') if broken else 'no problems'}")


def _row(title: str, names: str) -> None:
    """A list of names beside its title, folded to the terminal's width."""
    width = max(40, shutil.get_terminal_size().columns)
    print(textwrap.fill(names, width, initial_indent=f"  {title:<16}", subsequent_indent=" " * 18))


def _said(offer: Offer) -> str:
    """A name, with the others that mean the same."""
    return f"{offer.name} ({', '.join(offer.aliases)})" if offer.aliases else offer.name


def _as_json(installed: list[Installed]) -> dict[str, Any]:
    return {
        "core": __version__,
        "plugins": [
            {
                "distribution": item.name,
                "version": item.version,
                "summary": item.summary,
                "allowed": item.allowed,
                "offers": {
                    kind: [{"name": o.name, "aliases": list(o.aliases)} for o in offers]
                    for kind, offers in item.offers.items()
                },
                "events": item.events,
                "problems": [
                    {
                        "kind": trouble.kind,
                        "name": trouble.name,
                        "error": type(trouble.error).__name__,
                        "message": str(trouble.error),
                    }
                    for trouble in item.troubles
                ],
            }
            for item in installed
        ],
    }
