"""The JSON Schema Test Suite: a schema is refused by name, or enforced as the suite has it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llguidance import LLMatcher
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane_plugin_grammar.grammar_cache import Compiled, compiled_of

from .letters import context, encode

SUITE = Path(__file__).parents[4] / "shared/data/structured_output/JSON-Schema-Test-Suite/tests"
OLD = "http://json-schema.org/draft-07/schema#"
COUNTS = {
    # accepted, refused schemas; accepted and refused instances that are checked
    "draft7": (188, 69, 411, 263),
    "draft2020-12": (243, 140, 509, 311),
}


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compiled_of(context())


def spellings(value: Any) -> Iterator[Any]:
    """The value with the keys of its objects in every order, and whole numbers without a point."""
    if isinstance(value, dict):
        orders = itertools.permutations(value) if len(value) <= 4 else [tuple(value)]
        for order in orders:
            parts = [list(itertools.islice(spellings(value[key]), 24)) for key in order]
            for chosen in itertools.product(*parts):
                yield dict(zip(order, chosen, strict=True))
    elif isinstance(value, list) and len(value) < 12:
        parts = [list(itertools.islice(spellings(part), 24)) for part in value]
        yield from map(list, itertools.product(*parts))
    elif isinstance(value, float) and value.is_integer():
        yield int(value)
    else:
        yield value


def writable(matcher: LLMatcher, value: Any) -> bool:
    """Whether the grammar lets a model write the value, in one order of keys or another."""
    for spelling in itertools.islice(spellings(value), 200):
        ids = encode(json.dumps(spelling, ensure_ascii=False))
        found = matcher.deep_copy()
        if found.try_consume_tokens(ids) == len(ids) and found.is_accepting():
            return True
    return False


@pytest.mark.parametrize("draft", list(COUNTS))
def test_every_schema_is_refused_by_name_or_right(draft: str, compiled: Compiled) -> None:
    if not SUITE.exists():
        pytest.skip(f"no test suite at {SUITE}")
    counts = [0, 0, 0, 0]
    wrong, refused = [], []
    for path in sorted((SUITE / draft).glob("*.json")):
        for case in json.loads(path.read_text("utf-8")):
            schema = case["schema"]
            if draft == "draft7" and isinstance(schema, dict):
                schema = {"$schema": OLD, **schema}
            try:
                matcher = compiled.entry(Grammar(type="json_schema", value=schema)).matcher
            except RequestError as error:
                counts[1] += 1
                refused.append(str(error))
                continue
            counts[0] += 1
            for test in case["tests"]:
                accepted = writable(matcher, test["data"])
                counts[2 if test["valid"] else 3] += 1
                # formats are enforced, where the newer draft only notes them
                noted = path.name == "format.json" and "annotation" in test["description"]
                if accepted != test["valid"] and not (noted and not accepted):
                    wrong.append((path.name, case["description"], test["description"], accepted))
    assert wrong == []
    assert [said for said in refused if not said.startswith("the JSON schema at #")] == []
    assert tuple(counts) == COUNTS[draft]
