"""argparse whose errors are one line: the option, the value, and the way out."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

ARGUMENT = re.compile(r"argument (?P<name>[^:]+): (?P<said>.*)", re.DOTALL)
CHOICE = re.compile(r"invalid choice: (?P<value>.*?) \(choose from (?P<choices>.*)\)", re.DOTALL)
INVALID = re.compile(r"invalid (?P<kind>\w+) value: (?P<value>.*)", re.DOTALL)
KINDS = {"int": "not a whole number", "float": "not a number"}


class Parser(argparse.ArgumentParser):
    """As argparse's, with `-v`.

    stray: what a message says about an argument that no option takes.
    """

    def __init__(self, prog: str | None = None, *, stray: str = "", **more: Any) -> None:
        super().__init__(prog, **more)
        self.stray = stray
        self.add_argument(
            "-v",
            "--verbose",
            action="store_true",
            help="show tracebacks, and how a model was loaded",
        )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Nothing that is not known is taken, by subcommands either."""
        given = sys.argv[1:] if args is None else args
        if unknown := self._unknown_in(given):
            self.error(self._unknown(unknown))  # it may be why something else is missing
        found, extra = super().parse_known_args(args, namespace)
        if extra:
            self.error(self._unknown(extra[0]))
        return found, extra

    def error(self, message: str) -> NoReturn:
        """Print it and leave with status 2."""
        hint = f" ({self.prog} --help)"
        print(f"error: {' '.join(self._plain(message).split())}{hint}", file=sys.stderr)
        raise SystemExit(2)

    def _unknown_in(self, args: Sequence[str]) -> str | None:
        for argument in args:
            # what comes after a subcommand is the subcommand's
            if argument == "--" or (self._subparsers and not argument.startswith("-")):
                break
            name = argument.partition("=")[0]
            known = (text.startswith(name) for text in self._option_string_actions)
            if name.startswith("--") and " " not in argument and not any(known):
                return argument
        return None

    def _unknown(self, argument: str) -> str:
        if not argument.startswith("-") or argument == "-":
            return f"unexpected argument {argument!r}{self.stray and f'; {self.stray}'}"
        name = argument.partition("=")[0]
        options = [text for text in self._option_string_actions if text.startswith("--")]
        close = difflib.get_close_matches(name.replace("_", "-"), options, 1)
        return f"unknown option {name}" + (f"; did you mean {close[0]}?" if close else "")

    def _plain(self, message: str) -> str:
        """What argparse says, in our words; anything else as it is."""
        missing = "the following arguments are required: "
        if message.startswith(missing):
            names = [_long(name) for name in message.removeprefix(missing).split(", ")]
            return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
        if found := re.fullmatch(r"ambiguous option: (\S+) could match (.*)", message):
            return f"option {found[1]} is short for several: {found[2]}"
        if not (found := ARGUMENT.fullmatch(message)):
            return message
        name, said = _long(found["name"]), found["said"]
        if choice := CHOICE.match(said):
            value = _unquoted(choice["value"])
            choices = [_unquoted(text) for text in choice["choices"].split(", ")]
            close = difflib.get_close_matches(value, choices, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            return f"{name} {value}: must be {_one_of(choices)}{hint}"
        if invalid := INVALID.fullmatch(said):
            what = KINDS.get(invalid["kind"], "not valid")
            return f"{name} {_unquoted(invalid['value'])}: {what}"
        if said.startswith("expected "):
            return f"{name} needs a value"
        if said.startswith("ignored explicit argument"):
            return f"{name} takes no value"
        if other := re.fullmatch(r"not allowed with argument (.*)", said):
            return f"{name} and {_long(other[1])} exclude each other; give one"
        return f"{name} {said}"


def at_least(least: int) -> Callable[[str], int]:
    """A type of whole numbers from `least` on."""

    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text}: not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{text}: at least {least}")
        return value

    return whole


def whole_numbers(least: int) -> Callable[[str], list[int]]:
    """A type of lists, such as 1,2,3."""
    one = at_least(least)
    return lambda text: [one(part) for part in text.split(",")]


def _long(name: str) -> str:
    """Of "-m/--model" the long form."""
    return name.rpartition("/")[2]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _one_of(choices: Sequence[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
