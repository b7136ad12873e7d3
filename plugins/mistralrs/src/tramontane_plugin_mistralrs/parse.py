"""Their command lines, read by the tables."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tramontane.errors import UsageError

from .option import Option, Selector
from .tables import new, old


@dataclass(frozen=True)
class Program:
    """One of their commands: options before the subcommand, and the subcommands.

    anywhere: whether the former may stand behind a subcommand too.
    """

    name: str
    options: tuple[Option, ...]
    selectors: tuple[Selector, ...]
    anywhere: bool

    def selector(self, name: str) -> Selector:
        """A subcommand. Raises UsageError with those that there are."""
        for each in self.selectors:
            if name in each.names:
                return each
        names = [name for each in self.selectors for name in each.names]
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
        raise UsageError(f"{self.name} has no subcommand {name!r:.60}; {hint}")


SERVER = Program("mistralrs-server", old.GLOBAL, old.SELECTORS, anywhere=False)
MISTRALRS = Program("mistralrs", new.GLOBAL, new.SELECTORS, anywhere=True)


@dataclass
class Given:
    """A command line that was read: the subcommand, and options with their values, in order."""

    program: Program
    selector: Selector
    options: list[tuple[Option, Any]] = field(default_factory=list)
    kind: str = "auto"
    words: list[str] = field(default_factory=list)

    def value(self, *names: str) -> Any:
        """The last value of an option, by its keys; None: it was not given."""
        found = [value for option, value in self.options if option.key in names]
        return found[-1] if found else None

    def all(self, *names: str) -> list[Any]:
        """All values of an option."""
        return [value for option, value in self.options if option.key in names]


def parse(program: Program, arguments: Sequence[str]) -> Given:
    """Read a command line. Raises UsageError for what the tables do not have."""
    rest = list(arguments)
    before: list[tuple[Option, Any]] = []
    while rest and rest[0].startswith("-") and rest[0] != "-":
        _take(rest, program.options, before)
    if not rest:
        names = ", ".join(each.name for each in program.selectors)
        raise UsageError(f"{program.name} needs a subcommand: {names}")
    selector = program.selector(rest.pop(0))
    given = Given(program, selector, before)
    known = (*selector.options, *(program.options if program.anywhere else ()))
    asked = f"{program.name} {selector.name}"
    while rest:
        if rest[0].startswith("-") and rest[0] != "-":
            _take(rest, known, given.options)
        elif selector.kinds and rest[0] in selector.kinds:
            given.kind = rest.pop(0)
        elif len(given.words) < len(selector.words):
            given.words.append(rest.pop(0))
        else:
            raise UsageError(f"{asked}: unexpected argument {rest[0]!r:.60}")
    _once(given.options)
    return given


def _once(options: list[tuple[Option, Any]]) -> None:
    seen: set[tuple[str, ...]] = set()
    for option, _ in options:
        if option.names in seen and not option.many and option.value:
            raise UsageError(f"{option.name} is given twice: give it once")
        seen.add(option.names)


def _take(rest: list[str], known: Sequence[Option], to: list[tuple[Option, Any]]) -> None:
    """Take one option, and its value, off the front."""
    text = rest.pop(0)
    name, equals, value = text.partition("=")
    option = _named(known, name)
    if option is None and not text.startswith("--") and len(text) > 2:
        name, value = text[:2], text[2:].removeprefix("=")
        option = _named(known, name)
        if option is not None and not option.value:  # -vi: two switches
            to.append((option, True))
            rest.insert(0, f"-{value}")
            return
        equals = "="
    if option is None:
        names = [each for one in known for each in one.names]
        close = difflib.get_close_matches(text.partition("=")[0], names, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"unknown option {text.partition('=')[0]}{hint}")
    if not option.value:
        if equals:
            raise UsageError(f"{name} takes no value")
        to.append((option, True))
        return
    if not equals:
        if not rest:
            raise UsageError(f"{name} needs a value: {name} {option.value}")
        value = rest.pop(0)
    if not value:
        raise UsageError(f"{name} has an empty value: {name} {option.value}")
    to.append((option, value))


def _named(known: Sequence[Option], name: str) -> Option | None:
    return next((each for each in known if name in each.names), None)
