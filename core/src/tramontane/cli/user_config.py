"""The user's configuration file: default values of options, a section for each command.

    [run]
    model = "org/name:model-Q4_K_M.gguf"
    temperature = 0.7
    stop = ["END"]

A key is the long name of an option; what is given on the command line or in the environment wins.
"""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import ConfigError
from tramontane.problems import nearest
from tramontane.registry import Registry, known
from tramontane.system import paths

from .option_table import ENVIRONMENT

UNCONFIGURABLE = {"--help", "--help-all", "--config"}


def section_of(command: str) -> dict[str, Any]:
    """The settings of a command, "run" or "mcp call". Raises ConfigError for a file that is there
    and cannot be read, or has a section of an unknown command."""
    path = paths.user_config()
    if path is None:
        return {}
    data: Any = read(path)
    for word in command.split():
        data = data.get(word, {})
        if not isinstance(data, dict):
            return {}
    return dict(data)


def values_of(
    command: str, section: Mapping[str, Any], parser: argparse.ArgumentParser
) -> dict[str, Any]:
    """The section as values of the parser's options, by their `dest`; without those that an
    environment variable sets. Raises ConfigError for an unknown key or an invalid value."""
    found: dict[str, Any] = {}
    options = {
        name: action
        for action in parser._actions
        for name in action.option_strings
        if name.startswith("--") and name not in UNCONFIGURABLE
    }
    for key, value in section.items():
        if isinstance(value, dict) and parser._subparsers is not None:
            continue  # of a subcommand
        name = f"--{key.replace('_', '-')}"
        where = f"{paths.user_config()}: [{'.'.join(command.split())}] {key}"
        action = options.get(name)
        if action is None:
            hint = nearest(name[2:], (option[2:] for option in options))
            raise ConfigError(f"{where}: unknown key{hint and f'; {hint}'}")
        if any(os.environ.get(variable) for variable in _variables(action)):
            continue
        found[action.dest] = _value(parser, action, name, value, where)
    return found


def _variables(action: argparse.Action) -> Iterable[str]:
    return (each for name in action.option_strings for each in ENVIRONMENT.get(name, ()))


def _value(
    parser: argparse.ArgumentParser, action: argparse.Action, name: str, value: Any, where: str
) -> Any:
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: should be true or false, not {value!r}")
        if isinstance(action, argparse.BooleanOptionalAction):
            return value is not name.startswith("--no-")
        return action.const if value else action.default
    if isinstance(value, bool):
        raise ConfigError(f"{where}: should be a value, not {str(value).lower()}")
    several = value if isinstance(value, list) else [value]
    try:
        if isinstance(action, argparse._AppendAction):
            return [_converted(parser, action, one) for one in several]
        return _converted(parser, action, ",".join(map(str, several)))
    except argparse.ArgumentError as error:
        raise ConfigError(f"{where}: {error.message}") from error


def _converted(parser: argparse.ArgumentParser, action: argparse.Action, value: Any) -> Any:
    found = parser._get_value(action, str(value))
    parser._check_value(action, found)
    return found


def read(path: Path) -> dict[str, Any]:
    """The tables of a configuration file; none where it is not there. Raises ConfigError."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if "TRAMONTANE_CONFIG" in os.environ:
            raise ConfigError(f"TRAMONTANE_CONFIG: there is no file {path}") from error
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    from .main import BUILT_IN

    commands = {*BUILT_IN, *Registry.from_environment().names("commands"), *known("commands")}
    for key, value in data.items():
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: {key}: options belong below a command, such as [run]")
        if key not in commands:
            hint = nearest(key, commands)
            raise ConfigError(f"{path}: [{key}]: there is no such command{hint and f'; {hint}'}")
    return data
