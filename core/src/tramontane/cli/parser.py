"""argparse whose errors are one line: the option, the value, and how to correct it."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

from tramontane.problems import either

from .option_table import COMMON, FORMS, MANY, RARE, SWITCHES
from .user_config import section_of, values_of

ARGUMENT = re.compile(r"argument (?P<name>[^:]+): (?P<said>.*)", re.DOTALL)
CHOICE = re.compile(r"invalid choice: (?P<value>.*?) \(choose from (?P<choices>.*)\)", re.DOTALL)
INVALID = re.compile(r"invalid (?P<kind>\w+) value: (?P<value>.*)", re.DOTALL)
COLLECTED: ContextVar[Callable[[Parser], NoReturn] | None] = ContextVar("collected", default=None)
"""Called with each parser instead of parsing, by `completion`."""
KINDS = {"int": "not a whole number", "float": "not a number"}


class Parser(argparse.ArgumentParser):
    """As argparse's, with `-v`, `--help-all`, the forms of `option_table`, and MODEL as an argument
    of every command that has `-m`.

    stray: what a message adds about an argument that has no place. section: of the user's
    configuration file; by default the words of `prog` after the first.
    configured: after parsing, values of options that the configuration file has set, by `dest`.
    """

    def __init__(
        self, prog: str | None = None, *, stray: str = "", section: str | None = None, **more: Any
    ) -> None:
        super().__init__(prog, **more)
        self.stray = stray
        self.section = self.prog.partition(" ")[2] if section is None else section
        self.configured: dict[str, Any] = {}
        self._complete = self._all = False
        self.add_argument("--help-all", action=_HelpAll, help="show every option and exit")
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
        self._add_forms()
        if collected := COLLECTED.get():
            collected(self)
        given = sys.argv[1:] if args is None else args
        help_only = {"-h", "--help", "--help-all"} & {*given}
        settings = {} if help_only else self._settings()
        if unknown := self._unknown_in(given):
            self.error(self._unknown(unknown))  # it may be why something else is missing
        found, extra = super().parse_known_args(args, namespace)
        if self._model is not None and len(extra) == 1 and not extra[0].startswith("-"):
            self._take_model(found, extra.pop())
        if extra:
            self.error(self._unknown(extra[0]))
        self._configure(found, settings)
        return found, extra

    def _settings(self) -> dict[str, tuple[Any, Any]]:
        """The values of options in the user's configuration file, and the options' defaults, which
        become None: that shows after parsing whether an option was given."""
        if not (section := section_of(self.section)):
            return {}
        settings = {}
        for dest, value in values_of(self.section, section, self).items():
            for action in self._actions:
                if action.dest == dest:
                    settings[dest] = value, action.default
                    action.default, action.required = None, False
        return settings

    def _configure(self, found: argparse.Namespace, settings: dict[str, tuple[Any, Any]]) -> None:
        excluded = {
            other.dest
            for group in self._mutually_exclusive_groups
            for one in group._group_actions
            if getattr(found, one.dest, None) not in (None, one.default)
            for other in group._group_actions
            if other is not one
        }
        for dest, (value, default) in settings.items():
            if getattr(found, dest, None) is not None:
                continue
            if dest in excluded:
                setattr(found, dest, default)
            else:
                setattr(found, dest, value)
                self.configured[dest] = value

    def format_help(self) -> str:
        """What `--help` prints, or with `--help-all` before, everything."""
        self._add_forms()
        hidden: list[argparse.Action] = []
        before = [(action, action.help, list(action.option_strings)) for action in self._actions]
        options = [action for action in self._actions if action.option_strings]
        many = len(options) > MANY
        for action in options:
            if isinstance(action, _HelpAll) and (self._all or not many):
                action.help = argparse.SUPPRESS
            elif not self._all and many and self._rare(action):
                hidden.append(action)
                action.help = argparse.SUPPRESS
            elif shown := SWITCHES.get(action.option_strings[0]):
                action.option_strings = [shown]
        try:
            text = super().format_help()
        finally:
            for action, about, strings in before:
                action.help, action.option_strings = about, strings
        if not hidden:
            return text
        return f"{text.rstrip()}\n\n{len(hidden)} more options: {self.prog} --help-all\n"

    def format_usage(self) -> str:
        return f"usage: {self._usage()}\n"

    def _usage(self) -> str:
        parts = [] if self._model is None else ["[MODEL]"]
        for action in self._positionals._group_actions:
            name = str(action.metavar or action.dest)
            if action.choices is not None:
                name = f"{{{','.join(map(str, action.choices))}}}"
            parts.append(f"[{name}]" if action.nargs == "?" else name)
        return " ".join([self.prog, "[OPTIONS]", *parts])

    def _add_forms(self) -> None:
        """Once, when all options are there."""
        if self._complete:
            return
        self._complete = True
        for name, forms in FORMS.items():
            action = self._option_string_actions.get(name)
            for form in forms if action else ():
                if action is not None and form not in self._option_string_actions:
                    self._option_string_actions[form] = action
                    forms_now = [*action.option_strings, form]
                    action.option_strings = sorted(forms_now, key=lambda f: f.startswith("--"))
        if self.usage is None and self._subparsers is None:
            self.usage = self._usage().replace("%", "%%")

    def _rare(self, action: argparse.Action) -> bool:
        names = set(action.option_strings)
        in_group = not any(action is own for own in self._optionals._group_actions)
        return not names & COMMON if in_group else bool(names & RARE)

    @property
    def _model(self) -> argparse.Action | None:
        return self._option_string_actions.get("--model")

    def _take_model(self, found: argparse.Namespace, last: str) -> None:
        """MODEL is an argument: the one before the command's own, or the only one."""
        action = self._model
        assert action is not None
        own = self._positionals._group_actions
        name = last
        if own:  # MODEL TEXT: argparse took the first for the text
            name = getattr(found, own[0].dest)
            setattr(found, own[0].dest, self._get_value(own[0], last))
        self.set_model(found, name)

    def set_model(self, found: argparse.Namespace, name: str) -> None:
        """Take an argument as the model. Leaves with status 2 where there is another."""
        action = self._model
        assert action is not None
        before = getattr(found, action.dest)
        name = str(name)
        if any(letter.isspace() for letter in name) and not Path(name).exists():
            self.error(f"{name!r:.60} is not a model{self.stray and f'; {self.stray}'}")
        if isinstance(action, argparse._AppendAction):
            setattr(found, action.dest, [name, *(before or ())])
        elif before != action.default:
            self.error(f"two models, {name} and {before}: name one")
        else:
            setattr(found, action.dest, name)

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
            return f"option {found[1]} is ambiguous: {found[2]}"
        if not (found := ARGUMENT.fullmatch(message)):
            return message
        name, said = _long(found["name"]), found["said"]
        if choice := CHOICE.match(said):
            value = _unquoted(choice["value"])
            choices = [_unquoted(text) for text in choice["choices"].split(", ")]
            close = difflib.get_close_matches(value, choices, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            return f"{name} {value}: must be {either(choices)}{hint}"
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
    """Of "-m/--model/..." the first long form, else the last form."""
    forms = name.split("/")
    return next((form for form in forms if form.startswith("--")), forms[-1])


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


class _HelpAll(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(
            option_strings, argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, **more
        )

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, Parser)
        parser._all = True
        parser.print_help()
        parser.exit()
