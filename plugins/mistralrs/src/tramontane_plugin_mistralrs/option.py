"""The records of the tables: an option of theirs, and what becomes of it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Convert: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class To:
    """It is one of our options. option: its long name with underscores.

    convert: makes our value of theirs, or several options by name where it returns a dict. Raises
    UsageError. said: for the page, where the name alone does not say it.
    """

    option: str
    convert: Convert | None = None
    said: str = ""

    def options(self, value: Any) -> dict[str, Any]:
        """Our options for a value of theirs."""
        found = value if self.convert is None else self.convert(value)
        return found if isinstance(found, dict) else {self.option: found}

    def __str__(self) -> str:
        return self.said or f"`--{self.option.replace('_', '-')}`"


@dataclass(frozen=True)
class Meant:
    """What it asks for is so here without an option. said: why. only: the values of which that is
    true; others are refused."""

    said: str
    only: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.said if not self.only else f"{', '.join(self.only)}: {self.said}; else refused"


@dataclass(frozen=True)
class Refused:
    """It cannot be had. said: the reason, and what to do instead."""

    said: str

    def __str__(self) -> str:
        return f"refused: {self.said}"


@dataclass(frozen=True)
class Own:
    """It is read together with others. said: what it becomes."""

    said: str

    def __str__(self) -> str:
        return self.said


Ours: TypeAlias = To | Meant | Refused | Own


@dataclass(frozen=True)
class Option:
    """One of their options.

    ours: what becomes of it, or that by our command ("run", "serve", ...; "" stands for all that
    are not there). value: what its value is called; "" for a switch. example: a value, for tests.
    many: whether it may be given several times.
    """

    names: tuple[str, ...]
    ours: Ours | Mapping[str, Ours]
    value: str = ""
    example: str = ""
    many: bool = False

    @property
    def name(self) -> str:
        """The first long name."""
        return next((name for name in self.names if name.startswith("--")), self.names[0])

    @property
    def key(self) -> str:
        """The name as a key of their files."""
        return self.name.lstrip("-").replace("-", "_")

    def on(self, command: str) -> Ours:
        """What becomes of it with one of our commands."""
        if isinstance(self.ours, Mapping):
            return self.ours.get(command) or self.ours[""]
        return self.ours


@dataclass(frozen=True)
class Selector:
    """One of their subcommands. runs: what it becomes. kinds: what may stand before its options.
    words: names of arguments that are no options."""

    names: tuple[str, ...]
    about: str
    runs: str
    options: tuple[Option, ...] = ()
    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called first."""
        return self.names[0]
