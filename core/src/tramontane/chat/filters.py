"""jinja's filters, bounded: those that may make much of little look first, all count the result."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context

from .bounds import (
    Budget,
    Counted,
    check,
    check_join,
    check_percent,
    check_replace,
    check_width,
    written_size,
)

Filter = Callable[..., Any]

BUDGET = "the budget"
"""The context's name for the Budget. With a space, so that no template can say it; so the filters
that only the rewriting of templates puts in."""

COUNT_ROUNDS = "count rounds"
COUNT_SLICED = "count sliced"
COUNT_COMPARED = "count compared"
CONCATENATE = "concatenate parts"

WRITING = frozenset(
    {"string", "trim", "upper", "lower", "capitalize", "title", "escape", "e", "forceescape"}
    | {"striptags", "urlencode", "urlize", "wordcount", "truncate", "pprint", "xmlattr", "safe"}
    | {"center", "indent", "format", "replace", "wordwrap", "tojson"}
)
"""Filters that write their value out, whatever it is."""

COMPARING = frozenset({"sort", "unique", "min", "max", "groupby", "dictsort"})
COMPARING_TESTS = ("==", "eq", "equalto", "!=", "ne", "in")

GUARDS: dict[str, Callable[[Any, list[Any]], None]] = {
    "center": lambda value, args: check_width(args),
    "indent": lambda value, args: check_width(args, times=1 + str(value).count("\n")),
    "format": lambda value, args: check_percent(str(value), tuple(args)),
    "replace": lambda value, args: check_replace(str(value), *map(str, args[:2])),
    "batch": lambda value, args: check_width(args[:1]),
    "slice": lambda value, args: check_width(args[:1]),
    "round": lambda value, args: check_width(args[:1], times=1 << 16),
    "wordwrap": lambda value, args: check_width(args[2:], times=len(str(value))),
    "tojson": lambda value, args: check_width(_flat(args), times=written_size(value)),
}


def bounded_filters(filters: Mapping[str, Filter]) -> dict[str, Filter]:
    made = {name: _bounded(name, made) for name, made in filters.items()}
    made[COUNT_ROUNDS] = count_rounds
    made[COUNT_SLICED] = count_sliced
    made[COUNT_COMPARED] = count_compared
    made[CONCATENATE] = concatenate
    return made


def budget_of(context: Context) -> Budget:
    budget = context.parent.get(BUDGET)
    if not isinstance(budget, Budget):
        raise SecurityError("it is rendered without bounds")
    return budget


@pass_context
def count_rounds(context: Context, items: Any) -> Counted:
    return Counted(items, budget_of(context))


@pass_context
def count_sliced(context: Context, value: Any) -> Any:
    budget_of(context).charge(value)
    return value


def count_compared(value: Any) -> Any:
    """What is compared, or hashed as a key, is gone through in one step."""
    if isinstance(value, list | tuple | dict):
        written_size(value)
    return value


def bounded_tests(tests: Mapping[str, Filter]) -> dict[str, Filter]:
    """jinja's tests, those that compare looking first."""

    def bounded(made: Filter) -> Filter:
        return lambda value, other: made(count_compared(value), count_compared(other))

    return {**tests, **{name: bounded(tests[name]) for name in COMPARING_TESTS}}


@pass_context
def concatenate(context: Context, parts: list[Any]) -> str:
    check(sum(map(written_size, parts)))
    text = "".join(map(str, parts))
    budget_of(context).charge(text)
    return text


@pass_context
def count_output(context: Context, value: Any) -> Any:
    """The environment's `finalize`: what `{{ }}` writes."""
    budget = budget_of(context)
    budget.step()
    if not isinstance(value, str):
        written_size(value)
    budget.charge(value)
    return value


def _bounded(name: str, made: Filter) -> Filter:
    passed = getattr(made, "jinja_pass_arg", None)
    kind = None if passed is None else passed.name
    guard = GUARDS.get(name)

    def bounded(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        budget.step()
        rest = [*args, *kwargs.values()]
        if name == "join":
            value = list(value)
            check_join(rest[0] if rest else "", value)
        elif name in COMPARING:
            value = list(value) if not isinstance(value, dict | str) else value
            written_size(value)
        elif name in WRITING:
            written_size(value)
            written_size(rest)
        if guard is not None:
            guard(value, rest)
        if kind is None:
            result = made(value, *args, **kwargs)
        elif kind == "context":
            result = made(context, value, *args, **kwargs)
        elif kind == "eval_context":
            result = made(context.eval_ctx, value, *args, **kwargs)
        else:
            result = made(context.environment, value, *args, **kwargs)
        budget.charge(result)
        return result

    return pass_context(functools.update_wrapper(bounded, made))


def _flat(args: list[Any]) -> list[Any]:
    """Separators come as a pair."""
    return [part for arg in args for part in (arg if isinstance(arg, list | tuple) else [arg])]
