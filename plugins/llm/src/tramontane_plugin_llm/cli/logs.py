"""RUST_LOG: which log lines are shown on stderr, and how they look.

    RUST_LOG=warn                       a level for all
    RUST_LOG=llm=debug,tramontane=info  levels by target; the longest that fits counts
    RUST_LOG=off                        nothing

Levels are error, warn, info, debug, trace and off. A target is a module's path, with `::` or `.`;
lines of the commands themselves have the target `llm`. A line is

    2023-06-01T12:00:00.000000Z  INFO llm: what is said
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime

LEVELS = {
    "trace": 5, "debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING,
    "error": logging.ERROR, "off": logging.CRITICAL + 1,
}  # fmt: skip
COLORS = {"ERROR": 31, "WARN": 33, "INFO": 32, "DEBUG": 34, "TRACE": 35}
LOG = logging.getLogger("llm")
"""Of the commands."""


class _Shown(logging.Handler):
    """Directives of RUST_LOG, and where lines go: to what is stderr when they are said."""

    def __init__(self, directives: dict[str, int]) -> None:
        super().__init__()
        self.directives = directives

    def emit(self, record: logging.LogRecord) -> None:
        target = record.name.replace(".", "::")
        if record.levelno >= self.least(target):
            print(_line(record, target), file=sys.stderr, flush=True)

    def least(self, target: str) -> int:
        """The lowest level that is shown of a target."""
        fits = [name for name in self.directives if target.startswith(name)]
        return self.directives[max(fits, key=len)] if fits else LEVELS["error"]


def begin(*, shows: bool) -> None:
    """Show what RUST_LOG asks for. Without it: warnings, and if `shows` what the command is for,
    which is said by `info`."""
    told = os.environ.get("RUST_LOG", "")
    directives, wrong = parse(told)
    if not directives:
        directives = {"": LEVELS["warn"], "llm": LEVELS["info" if shows else "warn"]}
    for logger in (logging.getLogger("tramontane"), LOG):
        for before in [each for each in logger.handlers if isinstance(each, _Shown)]:
            logger.removeHandler(before)
        logger.addHandler(_Shown(directives))
        logger.propagate = False
        logger.setLevel(min(directives.values()))
    for each in wrong:
        print(f"RUST_LOG: {each!r} is no directive, and has no effect", file=sys.stderr)


def parse(text: str) -> tuple[dict[str, int], list[str]]:
    """Levels by target, "" for all; and what is no directive."""
    found: dict[str, int] = {}
    wrong = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        target, equals, level = part.partition("=")
        if not equals and target.lower() in LEVELS:
            found[""] = LEVELS[target.lower()]
        elif not equals:
            found[target.replace(".", "::")] = LEVELS["trace"]
        elif level.lower() in LEVELS:
            found[target.replace(".", "::")] = LEVELS[level.lower()]
        else:
            wrong.append(part)
    return found, wrong


def _line(record: logging.LogRecord, target: str) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    names = {"WARNING": "WARN", "CRITICAL": "ERROR", "Level 5": "TRACE"}
    level = names.get(record.levelname, record.levelname)
    if sys.stderr.isatty():
        shown = f"\033[{COLORS.get(level, 0)}m{level:>5}\033[0m"
        return f"\033[2m{moment}\033[0m {shown} \033[2m{target}:\033[0m {record.getMessage()}"
    return f"{moment} {level:>5} {target}: {record.getMessage()}"
