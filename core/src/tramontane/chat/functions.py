"""What Hugging Face gives chat templates beyond jinja: functions, and the generation block."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.utils import Namespace

from .bounds import written_size
from .filters import bounded_filters, bounded_tests, count_output
from .sandbox import ChatEnvironment


class TemplateRefusal(jinja2.TemplateError):
    """The template itself said no."""


class GenerationBlock(Extension):
    """`{% generation %}`: marks an answer for training; here only its text counts."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_text", [])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _text(self, caller: Callable[[], str]) -> str:
        return caller()


class SafeNamespace(Namespace):
    """`namespace()` without names that start with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        # no named parameter, so that `namespace(self=...)` works
        self, *rest = args
        attributes = dict(*rest, **kwargs)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"it stores {name!r} in a namespace; rename it without the underscore")


class SafeDict:
    """`dict()` without the type behind it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        written_size(args)  # keys are hashed
        return dict(*args, **kwargs)

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        keys = list(keys)
        written_size(keys)
        return dict.fromkeys(keys, value)


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As Hugging Face: no HTML escapes, unlike jinja's own."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def raise_exception(message: object) -> None:
    raise TemplateRefusal(str(message))


def chat_environment(now: Callable[[], datetime]) -> ChatEnvironment:
    """now: the clock behind strftime_now."""
    environment = ChatEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=count_output,
        optimized=False,  # folding would run filters while compiling, outside any bounds
        extensions=[GenerationBlock, "jinja2.ext.loopcontrols"],
    )
    environment.filters["tojson"] = tojson
    environment.filters["from_json"] = json.loads
    environment.filters = bounded_filters(environment.filters)
    environment.tests.update(bounded_tests(environment.tests))  # type: ignore[arg-type]
    del environment.globals["lipsum"]
    environment.globals.update(
        raise_exception=raise_exception,
        strftime_now=lambda pattern: now().strftime(pattern),
        dict=SafeDict(),
        namespace=SafeNamespace,
    )
    return environment
