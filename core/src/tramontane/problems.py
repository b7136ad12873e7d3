"""What pydantic finds wrong, in words of our own: one place for files, options and requests."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from .sanitize import one_line

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

ABSENT = ("missing", "missing_argument", "union_tag_not_found")
TAGS = ("union_tag_invalid", "union_tag_not_found")
Way: TypeAlias = "tuple[tuple[str | int, ...], list[int]]"
WORDS = {
    "int_type": "must be an integer", "int_parsing": "must be an integer",
    "int_from_float": "must be an integer", "int_parsing_size": "must be a smaller integer",
    "float_type": "must be a number", "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false", "bool_parsing": "must be true or false",
    "string_type": "must be a string", "string_sub_type": "must be a string",
    "string_unicode": "has half of a surrogate pair, which is no character",
    "path_type": "must be a path",
    "list_type": "must be a list", "tuple_type": "must be a list",
    "dict_type": "must be an object", "model_type": "must be an object",
    "model_attributes_type": "must be an object", "mapping_type": "must be an object",
    "none_required": "must be null", "is_instance_of": "must be of another type",
    "greater_than_equal": "must be at least {ge}", "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}", "less_than": "must be less than {lt}",
    "too_short": "must have at least {min_length} {items}",
    "too_long": "must have at most {max_length} {items}",
    "string_too_short": "must have at least {min_length} {characters}",
    "string_too_long": "must have at most {max_length} {characters}",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be {expected}", "enum": "must be {expected}",
    "literal_error_null": "must be {expected}",
    "union_tag_invalid": "must be {expected_tags}", "union_tag_not_found": "is required",
    "extra_forbidden": "is not known here",
    "missing": "is required", "missing_argument": "is required",
}  # fmt: skip
"""By pydantic's type of an error; where there is none, pydantic's own words."""


@dataclass(frozen=True)
class Problem:
    """path: the way to the value, without names of alternatives. kind: pydantic's type of it.
    context: what a validator's own error has beside its message."""

    path: tuple[str | int, ...]
    kind: str
    words: str
    value: Any
    context: Mapping[str, Any] = field(default_factory=dict)

    def about(self, where: str) -> str:
        """One line. where: what the path is called by who reads it; empty: the value as such."""
        if not where or self.kind in (*ABSENT, "extra_forbidden"):
            return f"{where} {self.words}".strip()
        if isinstance(self.value, Mapping) and self.kind in ("value_error", "assertion_error"):
            return f"{where}: {self.words}"  # it is about its parts, and names them
        return f"{where}: {self.words} (it is {one_line(_shown(self.value), 80)})"


def first_problem(error: ValidationError | Sequence[ErrorDetails], value: Any = None) -> Problem:
    """The first thing that is wrong.

    Of a value that may be of several kinds there is an error for each; that kind is taken which
    fits best: where the trouble is deepest, of the right type, then least. value: what was
    validated, to tell the names of fields from those of alternatives; without it all names are
    taken to be fields.
    """
    errors: Sequence[ErrorDetails] = (
        error if isinstance(error, Sequence) else error.errors(include_url=False)
    )
    ways = [_way(one, value) for one in errors]
    chosen = _fitting(errors, ways, range(len(errors)), 0)[1]
    path = ways[chosen[0]][0]
    words = [_words(errors[i]) for i in chosen if ways[i][0] == path]
    first = errors[chosen[0]]
    found = first.get("input")
    if first["type"] in TAGS:  # it is about a field of the value
        context = first.get("ctx", {})
        path, found = (*path, context["discriminator"].strip("'")), context.get("tag")
    return Problem(path, first["type"], _together(words), found, first.get("ctx", {}))


def nearest(name: str, known: Iterable[str], shown: str = "") -> str:
    """`did you mean ...?`, or nothing. shown: how to write the nearest, if not as it is."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {shown or repr(found[0])}?" if found else ""


def either(choices: Sequence[str]) -> str:
    """ "a, b or c"."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def _shown(value: Any) -> str:
    """A value as JSON has it, which who sent it knows, or as Python does."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)


def _words(one: ErrorDetails) -> str:
    known: dict[str, Any] = dict(one.get("ctx", {}))
    for name, value in known.items():
        if isinstance(value, float) and value.is_integer():
            known[name] = int(value)
    if tags := known.get("expected_tags"):
        known["expected_tags"] = either(tags.split(", "))
    if known.get("expected") in ("True", "False"):
        known["expected"] = known["expected"].lower()
    for singular, limit in (("items", known), ("characters", known)):
        count = limit.get("min_length", limit.get("max_length"))
        known[singular] = singular[:-1] if count == 1 else singular
    if form := WORDS.get(one["type"]):
        return form.format_map(known)
    said = one["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if said.startswith("Input should "):
        said = "must " + said.removeprefix("Input should ")
    return said


def _together(words: Sequence[str]) -> str:
    """What several alternatives ask, as one."""
    words = list(dict.fromkeys(words))
    if len(words) > 1 and all(said.startswith("must be ") for said in words):
        return f"must be {either([said.removeprefix('must be ') for said in words])}"
    return words[0]


def _fitting(
    errors: Sequence[ErrorDetails], ways: Sequence[Way], among: Sequence[int], level: int
) -> tuple[tuple[int, int, int], list[int]]:
    """Of the alternatives at the first error's fork of this level those that fit best: how badly
    they do, (-depth, how much of another type, errors), and the first error of each."""
    forks = ways[among[0]][1]
    if len(forks) <= level:
        depth = max(len(ways[i][0]) + _names_field(errors[i]) for i in among)
        return (-depth, _otherness(errors[among[0]]["type"]), len(among)), [among[0]]
    kinds: dict[str | int, list[int]] = {}
    for i in among:
        if ways[i][1][level : level + 1] == [forks[level]]:
            kinds.setdefault(errors[i]["loc"][forks[level]], []).append(i)
    tried = [_fitting(errors, ways, found, level + 1) for found in kinds.values()]
    best = min(cost for cost, _ in tried)
    return best, [i for cost, found in tried if cost == best for i in found]


def _names_field(one: ErrorDetails) -> bool:
    """Whether it is a validator's own error about a field of the value."""
    return bool(one.get("ctx", {}).get("param"))


def _otherness(kind: str) -> int:
    """0: of the right type. 2: of one that no data has, which is no help to its writer."""
    return 2 if kind == "is_instance_of" else int(kind.endswith("_type"))


def _way(one: ErrorDetails, value: Any) -> Way:
    """The way to a value without the names that alternatives have among themselves, and the places
    of such names in all of it."""
    where = one["loc"]
    if value is None:
        return where, []
    last = len(where) - 1 if one["type"] in ABSENT[:2] else None
    found: list[str | int] = []
    forks: list[int] = []
    for place, part in enumerate(where):
        if isinstance(value, dict) and (part in value or place == last):
            found.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            found.append(part)
            value = value[part] if part < len(value) else None
        else:
            forks.append(place)
    return tuple(found), forks
