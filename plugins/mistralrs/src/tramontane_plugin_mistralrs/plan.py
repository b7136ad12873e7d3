"""What a command line of theirs is here: one of our commands with its options."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import Any

from tramontane.errors import UsageError

POSITIONAL = "model"
"""The option that is written as an argument."""


@dataclass(frozen=True)
class Check:
    """A model whose config.json has to be of one of some classes. name: theirs."""

    model: str
    name: str
    classes: tuple[str, ...]


@dataclass
class Plan:
    """command: ours. options: of the command, by long names with underscores. models: of a server,
    each as below `[[models]]`. words: further arguments. notes: what to say before it runs.

    template_of: a repository on the hub whose chat template is used.
    """

    command: str
    options: dict[str, Any] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    template_of: str | None = None

    @property
    def loading(self) -> dict[str, Any]:
        """The options of how the model is loaded; of a server, those of its first."""
        return self.models[0] if self.models else self.options

    def arguments(self) -> list[str]:
        """The command line after `tramontane`. Raises UsageError for several models, which only a
        file can name."""
        if len(self.models) > 1:
            raise UsageError("several models are named in a file: tramontane serve --config FILE")
        options = {**self.options, **(self.models[0] if self.models else {})}
        found = [self.command]
        model = options.pop(POSITIONAL, None)
        found += [] if model is None else ["-m", str(model)]
        for name, value in options.items():
            found += _words(name, value)
        return found + self.words

    def toml(self) -> str:
        """The settings of a server, for `tramontane serve --config`."""
        lines = [f"{name} = {_value(value)}" for name, value in self.options.items()]
        for model in self.models:
            lines += ["", "[[models]]", *(f"{name} = {_value(v)}" for name, v in model.items())]
        return "\n".join(lines) + "\n"

    def shown(self) -> str:
        """What a user would type, or write into a file."""
        if len(self.models) > 1:
            return f"# tramontane serve --config FILE, with this in it:\n{self.toml()}"
        return shlex.join(["tramontane", *self.arguments()])


def _words(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    if value is False:
        return [f"--no-{option[2:]}"]
    if isinstance(value, list | tuple):
        return [word for each in value for word in _words(name, each)]
    text = str(value)
    return [f"{option}={text}"] if text.startswith("-") else [option, text]


def _value(value: Any) -> str:
    # what JSON and TOML write alike
    return json.dumps(value, ensure_ascii=False)
