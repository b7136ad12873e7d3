"""`tramontane serve` and `tramontane config serve`: options to settings, settings to a server."""

from __future__ import annotations

import argparse
import os
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from tramontane.cli.parser import Parser
from tramontane.errors import ConfigError

from .listen import listening
from .model_settings import ModelSettings
from .plugin import CONFIG, SERVE
from .settings import Settings, read, written

KEY = "TRAMONTANE_API_KEY"
EXAMPLES = f"""\
examples:
  tramontane serve                                      the small embedded model, at 127.0.0.1:1234
  tramontane serve -m model.gguf --host 0.0.0.0 --api-key-file keys.txt
  tramontane serve -m org/one -m org/two --name one --name two
  tramontane serve -m org/one --alias gpt-4o            one model, two names; --alias '*': any name
  tramontane serve --config server.toml
{KEY} in the environment is a key too. Option --no-X turns a switch off.
"""


def run(argv: list[str]) -> int:
    """Serve until stopped by a signal."""
    return serve_as("serve", SERVE, argv)


def serve_as(
    name: str,
    summary: str,
    argv: list[str],
    *,
    switches: Mapping[str, str] | None = None,
    ready: Callable[[str], None] | None = None,
) -> int:
    """Serve for a command of another distribution, with the options of `tramontane serve`.

    switches: of that command, with their help; it takes them out of argv itself. ready: called in
    the event loop with the address, once all models of the start are loaded.
    """
    settings = _settings(argv, name, summary, switches or {})
    settings.check()
    with listening(settings) as sockets:  # first, as it may fail and the rest takes a while
        from .lifecycle import serve

        return serve(settings, sockets, ready)


def config(argv: list[str]) -> int:
    """Print what `serve` would run with."""
    print(written(_settings(argv, "config", CONFIG)))  # noqa: T201 - it is the command's answer
    return 0


def _settings(
    argv: list[str], name: str, summary: str, switches: Mapping[str, str] | None = None
) -> Settings:
    parser = parser_of(name, summary, EXAMPLES.replace("tramontane serve", f"tramontane {name}"))
    for switch, said in (switches or {}).items():
        parser.add_argument(switch, action="store_true", default=argparse.SUPPRESS, help=said)
    return settings_of(parser, vars(parser.parse_args(argv)))


def settings_of(parser: Parser, options: dict[str, Any]) -> Settings:
    """What options of `parser_of` come to, with the user's file and the environment. Raises
    ConfigError.
    """
    defaults = {key: options.pop(key) for key in parser.configured}
    path, names, models = (options.pop(key, None) for key in ("config", "name", "model"))
    for name in ("print", "verbose"):
        options.pop(name, None)
        defaults.pop(name, None)
    if not models and path is None:
        models, names = defaults.get("model"), names or defaults.get("name")
    defaults = {key: value for key, value in defaults.items() if key not in ("model", "name")}
    given = {key: value for key, value in options.items() if value is not None}
    if key := os.environ.get(KEY):
        given["api_key"] = [*given.get("api_key", ()), key]
    if models or names:
        listed = models or ["default"]
        if names and len(names) != len(listed):
            raise ConfigError(
                f"{len(names)} times --name for {len(listed)} models: give one for each; "
                "--alias gives one model more names"
            )
        given["models"] = [
            {"model": model, **({"name": name} if name is not None else {})}
            for model, name in zip(listed, names or [None] * len(listed), strict=True)
        ]
    if "alias" in given and len(models or ()) > 1:
        raise ConfigError(
            "--alias with several -m does not say which model it names: list the models in a file "
            "for --config, each with its alias"
        )
    return read(path, given, defaults)


def parser_of(name: str, summary: str, examples: str = EXAMPLES) -> Parser:
    """The options of a command that serves."""
    parser = Parser(
        f"tramontane {name}" if name != "config" else "tramontane config serve",
        description=summary,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=None,
        section="serve",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, TOML")
    if name == "config":
        parser.add_argument(
            "--print", action="store_true", help="accepted, has no effect: printing is the default"
        )
    server = parser.add_argument_group("server")
    for field, info in Settings.model_fields.items():
        if field != "models":
            add_option(server, field, info)
    group = parser.add_argument_group("models")
    group.add_argument("-m", "--model", action="append", metavar="MODEL", help="repeatable")
    group.add_argument("--name", action="append", help="name in requests; once for each -m")
    for field, info in ModelSettings.model_fields.items():
        if field not in ("model", "name"):
            add_option(group, field, info)
    return parser


def add_option(group: Any, field: str, info: FieldInfo) -> None:
    """An option for a field; what is not given stays None."""
    option = "--" + field.replace("_", "-")
    kinds = list(_kinds(info.annotation))
    default = info.default
    said = str(info.description)
    if default not in (None, (), False, True):
        said += f" (default: {default})"
    said = said.replace("%", "%%")
    # values stay texts: what is wrong with one is said once, by the settings
    if bool in kinds:
        group.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=said)
    elif default == ():
        group.add_argument(option, action="append", metavar="TEXT", help=said)
    elif choices := [kind for kind in kinds if isinstance(kind, str)]:
        group.add_argument(option, metavar="{" + ",".join(choices) + "}", help=said)
    else:
        kind = next(kind for kind in (int, float, Path, str) if kind in kinds)
        metavar = {int: "N", float: "X", Path: "PATH", str: "TEXT"}[kind]
        group.add_argument(option, metavar=metavar, help=said)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The plain types, and the texts of Literals, that an annotation is made of."""
    if get_origin(annotation) in (Union, types.UnionType, tuple):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        inner = get_args(annotation)
        yield inner[0] if inner else annotation
