"""`tramontane doctor`: what this machine can do, problems, and how to fix them."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from tramontane.doctor.finding import Finding
from tramontane.registry import Registry

from .color import paint
from .parser import Parser

SUMMARY = "Check the machine, folders, hub and plugins, and show how to fix problems."
LOOKS = {"ok": "green", "warning": "yellow", "problem": "red"}
TITLE, STATUS = 12, 9
"""Widths of the first two columns."""


def run(argv: list[str]) -> int:
    """Print findings as they come; 1 when one of them is a problem."""
    parser = Parser("tramontane doctor", description=SUMMARY)
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    options = parser.parse_args(argv)
    from tramontane.doctor.examine import examine

    counts: Counter[str] = Counter()
    found = []
    for finding in _quietly(examine(Registry.from_environment())):
        counts[finding.status] += 1
        found.append(asdict(finding))
        if not options.json:
            _print(finding.topic, finding.status, finding.message, finding.remedy)
    if options.json:
        json.dump({"ok": not counts["problem"], "findings": found}, sys.stdout, indent=2)
        print()
    else:
        print(f"\n{_total(counts)}")
    return 1 if counts["problem"] else 0


def _quietly(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Findings, while the registry does not warn: what it would say is among them."""
    log = logging.getLogger("tramontane.registry")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield from findings
    finally:
        log.setLevel(before)


def _print(topic: str, status: str, message: str, remedy: str) -> None:
    width = max(60, shutil.get_terminal_size().columns) - TITLE - STATUS
    head = f"{topic:<{TITLE}}{paint(f'{status:<{STATUS}}', LOOKS[status])}"
    for line in _folded(message, width):
        print(f"{head}{line}")
        head = " " * (TITLE + STATUS)
    for line in _folded(f"to fix it: {remedy}", width) if remedy else ():
        print(f"{head}{paint(line, 'bold')}")


def _folded(text: str, width: int) -> Iterable[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _total(counts: Counter[str]) -> str:
    def several(what: str) -> str:
        return f"{counts[what] or 'no'} {what}{'' if counts[what] == 1 else 's'}"

    if not counts["problem"] and not counts["warning"]:
        return paint("all is well", "green")
    look = "red" if counts["problem"] else "yellow"
    return paint(f"{several('problem')}, {several('warning')}", look)
