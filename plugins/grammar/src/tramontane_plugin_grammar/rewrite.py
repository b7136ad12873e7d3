"""Keywords that the library does not know, said with those it does, where that says the same.

What cannot be said otherwise, exactly and in few words, is refused with its place.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .bounds import next_to_whole, without_flags
from .literals import finite, key_of
from .negation import either, opposite, others
from .schema_walk import DEEPEST, SAYS_NOTHING, SEVERAL, Path, cannot, inner_schemas, refused

MOST_UNIQUE = 5
"""Values of a list without repetition, of which every order is written out."""
MOST_CHOICES = 6
LONGEST = 1 << 20
"""Characters of what a keyword is replaced by."""
APPLY_IN_PLACE = frozenset({
    "$dynamicRef", "$ref", "allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if",
    "not", "oneOf", "then",
})  # fmt: skip
NAMES_MEMBERS = SAYS_NOTHING | {
    "$anchor", "$defs", "$id", "$ref", "allOf", "const", "definitions", "dependentRequired", "enum",
    "maxProperties", "minProperties", "not", "properties", "propertyNames", "required", "type",
}  # fmt: skip
"""Keywords beside which members are evaluated by `properties` alone."""
ANY_TEXT = frozenset({"binary", "password", "path"})
"""Formats that forbid no text."""
BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
FORMATS = {"base64": BASE64, "byte": BASE64}
Part = dict[str, Any]


def rewritten(schema: Any) -> Any:
    """A schema for the same values, in keywords that the library knows; references stay right.

    Raises RequestError for what cannot be said so.
    """
    return Rewriting(schema).whole(schema)


class Rewriting:
    """Of one schema, whose keywords have been checked."""

    def __init__(self, root: Any) -> None:
        self._root = root
        parts = [part for _, part in inner_schemas(root) if isinstance(part, dict)]
        self._parts = parts
        self._one_resource = not any(
            part.keys() & {"$id", "id"} for part in parts if part is not root
        )
        self._done: dict[int, Any] = {}
        """Schemas that are rewritten already, by their identity."""

    def whole(self, schema: Any, path: Path = (), around: Sequence[Part] = ()) -> Any:
        """A schema for the same values. around: schemas that hold of the same value."""
        if not isinstance(schema, dict) or id(schema) in self._done:
            return schema
        found, here = dict(schema), [schema, *around]
        if "id" in found:  # as draft 4 has it
            found["$id"] = found.pop("id")
        more = [
            self.whole(added, (*path, keyword), here)
            for rule in RULES
            for keyword, added in rule(self, found, here, path)
        ]
        for keyword in SEVERAL:
            if isinstance(found.get(keyword), list):
                beside = here if keyword.endswith("Of") else ()
                found[keyword] = [
                    self.whole(part, (*path, keyword, str(place)), beside)
                    for place, part in enumerate(found[keyword])
                ]
        for keyword in ("additionalItems", "additionalProperties", "items"):
            if isinstance(found.get(keyword), dict):
                found[keyword] = self.whole(found[keyword], (*path, keyword))
        for keyword in ("$defs", "definitions", "properties", "patternProperties"):
            if keyword in found:
                found[keyword] = {
                    name: self.whole(part, (*path, keyword, name))
                    for name, part in found[keyword].items()
                }
        if more:
            found["allOf"] = [*found.get("allOf", ()), *more]
        self._done[id(found)] = found
        return found

    def resolve(self, reference: Any) -> Any:
        """The schema that a reference within this one names; None where that is not plain."""
        if not isinstance(reference, str) or not self._one_resource:
            return None
        if reference != "#" and not reference.startswith("#/"):
            return None
        found = self._root
        for name in reference[2:].split("/") if len(reference) > 1 else ():
            key = name.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def opposite(self, schema: Any, here: Sequence[Part]) -> Any:
        """A schema for the values that this one forbids; None: there is none to be had."""
        return opposite(schema, here, SAYS_NOTHING, self.resolve)

    def names(self, schema: Any, depth: int = 0) -> set[str] | None:
        """The members that a schema speaks of; None where it depends on the value."""
        if isinstance(schema, bool):
            return set()
        if not isinstance(schema, dict) or depth > DEEPEST or schema.keys() - NAMES_MEMBERS:
            return None
        found = set(schema.get("properties", ()))
        parts = list(schema.get("allOf", ()))
        if "$ref" in schema:
            parts.append(self.resolve(schema["$ref"]))
        for part in parts:
            inner = self.names(part, depth + 1)
            if inner is None:
                return None
            found |= inner
        return found


Rule = Callable[[Rewriting, Part, Sequence[Part], Path], Iterator[tuple[str, Any]]]
"""(the schema's keywords, some of which it takes out or changes, ...) -> schemas that must hold
too, each with the keyword that it is in place of."""


def _not(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    if "not" in found:
        other = self.opposite(found.pop("not"), here)
        if other is None:
            raise cannot((*path, "not"))
        if other is not True:
            yield "not", other


def _if(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    condition = found.pop("if", None)
    then, otherwise = found.pop("then", True), found.pop("else", True)
    if condition is None:
        return
    if then is not True:
        other = self.opposite(condition, here)
        if other is None:
            raise cannot((*path, "if"))
        yield "then", either([other, self.whole(then, (*path, "then"), here)])
    if otherwise is not True:
        condition = self.whole(condition, (*path, "if"), here)
        yield "else", either([condition, self.whole(otherwise, (*path, "else"), here)])


def _dependent(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
        for name, wanted in found.pop(keyword, {}).items():
            then = {"required": wanted} if isinstance(wanted, list) else wanted
            then = self.whole(then, (*path, keyword, name), here)
            yield keyword, either([{"properties": {name: False}}, then])


def _contains(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    least, most = found.pop("minContains", 1), found.pop("maxContains", None)
    if "contains" in found:
        if least != 0 or most is not None:
            raise cannot((*path, "contains"))
        del found["contains"]
    yield from ()


def _unique(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    if found.pop("uniqueItems", False) is not True or found.get("maxItems") in (0, 1):
        return
    items = found.get("items")
    values = finite(items, self.resolve) if isinstance(items, dict) else None
    if (
        values is None
        or "prefixItems" in found
        or len(values := list({key_of(value): value for value in values}.values())) > MOST_UNIQUE
        or not all(value is None or isinstance(value, bool | int | str) for value in values)
    ):
        raise cannot((*path, "uniqueItems"))
    lists = [list(order) for size in range(len(values) + 1)
             for order in itertools.permutations(values, size)]  # fmt: skip
    yield "uniqueItems", {"anyOf": [{"type": others("array")}, {"enum": lists}]}


def _names(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    """Names of an object's members: those of a list, or those that a pattern fits."""
    names = found.pop("propertyNames", True)
    for _ in range(16):
        if isinstance(names, dict) and "$ref" in names:
            names = self.resolve(names["$ref"]) if names.keys() <= {"$ref", *SAYS_NOTHING} else None
    if names is False:
        yield "propertyNames", {"maxProperties": 0}
        return
    if not isinstance(names, dict):
        if names is not True:
            raise cannot((*path, "propertyNames"))
        return
    meant = {key: said for key, said in names.items() if key not in SAYS_NOTHING}
    kinds = meant.pop("type", "string")
    if kinds != "string" and not (isinstance(kinds, list) and "string" in kinds):
        raise cannot((*path, "propertyNames"))
    if meant and "patternProperties" in found:
        raise cannot((*path, "propertyNames"))
    rest = found.get("additionalProperties", True)
    if meant.keys() and meant.keys() <= {"const", "enum"} and len(meant) == 1:
        wanted = [name for name in finite(meant, self.resolve) or () if isinstance(name, str)]
        given = found.get("properties", {})
        kept = {name: part for name, part in given.items() if name in wanted}
        if rest is not False:
            rest = self.whole(rest, (*path, "additionalProperties"))
            if len(wanted) * len(json.dumps(rest)) > LONGEST:
                raise refused((*path, "propertyNames"), f"{len(wanted)} names are too many")
            kept |= {name: rest for name in wanted if name not in kept}
        found |= {"properties": kept, "additionalProperties": False}
    elif meant:
        if found.get("properties") or not (pattern := _pattern(meant)):
            raise cannot((*path, "propertyNames"))
        found |= {"patternProperties": {pattern: rest}, "additionalProperties": False}


def _pattern(meant: Mapping[str, Any]) -> str | None:
    if meant.keys() == {"pattern"}:
        return str(meant["pattern"])
    if meant.keys() <= {"minLength", "maxLength"}:
        return f"^[\\s\\S]{{{meant.get('minLength', 0)},{meant.get('maxLength', '')}}}$"
    return None


def _unevaluated(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    schema = here[0]
    if (items := found.pop("unevaluatedItems", True)) not in (True, {}):
        if schema.keys() & (APPLY_IN_PLACE | {"contains"}):
            raise cannot((*path, "unevaluatedItems"))
        found.setdefault("items", items)
    members = found.pop("unevaluatedProperties", True)
    if members in (True, {}) or "additionalProperties" in schema:  # of which all are evaluated
        return
    own = dict(schema)
    for keyword in ("patternProperties", "unevaluatedProperties"):
        own.pop(keyword, None)
    names = self.names(own)
    if names is None:
        raise cannot((*path, "unevaluatedProperties"))
    given = found.get("properties", {})
    beside = {name: True for name in sorted(names) if name not in given}
    found |= {"properties": {**given, **beside}, "additionalProperties": members}
    yield from ()


def _formats(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    given = found.get("format")
    if isinstance(given, str) and given in ANY_TEXT | FORMATS.keys():
        del found["format"]
        if given in FORMATS:
            yield "format", {"pattern": FORMATS[given]}


def _one_of(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    """Of schemas that only ask for members; of others the library knows whether they overlap."""
    choices = found.get("oneOf")
    if not isinstance(choices, list) or not 1 < len(choices) <= MOST_CHOICES:
        return
    if not all(
        isinstance(choice, dict) and choice.keys() - SAYS_NOTHING == {"required"}
        for choice in choices
    ):
        return
    del found["oneOf"]
    apart = [self.opposite(choice, here) for choice in choices]
    yield (
        "oneOf",
        either(
            [
                {"allOf": [choice, *apart[:place], *apart[place + 1 :]]}
                for place, choice in enumerate(choices)
            ]
        ),
    )


def _nullable(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    """OpenAPI 3.0: it adds null to the types that are named, and says nothing without them."""
    kinds = found.get("type")
    if found.pop("nullable", False) and kinds is not None:
        given = [kinds] if isinstance(kinds, str) else list(kinds)
        found["type"] = given if "null" in given else [*given, "null"]
    yield from ()


def _bounds(self: Rewriting, found: Part, here: Sequence[Part], path: Path) -> Iterator[Any]:
    without_flags(found)
    next_to_whole(found, self._parts)
    yield from ()


RULES: tuple[Rule, ...] = (
    _unevaluated, _not, _if, _dependent, _contains, _unique, _names, _formats, _one_of, _nullable,
    _bounds,
)  # fmt: skip
