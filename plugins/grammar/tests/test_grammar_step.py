"""The step of the chain: which tokens it leaves, by the output so far."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane.sampling import Candidates, History
from tramontane_plugin_grammar.compiled import KEPT, compiled_of
from tramontane_plugin_grammar.step import build

from .letters import END, WORDS, accepts, allowed, context, encode, step_of


def test_without_a_grammar_there_is_no_step():
    assert build({"grammar": None}, context()) is None


def test_a_regular_expression_is_the_whole_text():
    step = {text: accepts(step_of(type="regex", value="[a-c]{2}x?"), text) for text in
            ("ab", "cax", "a", "abc", "abxx", "xab")}  # fmt: skip
    assert step == {"ab": True, "cax": True, "a": False, "abc": False, "abxx": False, "xab": False}


@given(st.text(alphabet="ab01", max_size=6))
def test_a_regular_expression_is_what_python_has_it(text):
    pattern = "(a|b[01]+)*0?"
    assert accepts(step_of(KNOWN, type="regex", value=pattern), text) == bool(
        re.fullmatch(pattern, text)
    )


KNOWN = context()


def test_a_lark_grammar_counts_brackets():
    lark = 'start: "(" start? ")"'
    assert accepts(step_of(type="lark", value=lark), "((()))")
    assert not accepts(step_of(type="lark", value=lark), "((())")


@pytest.mark.parametrize("text", ["{}", '{"a": [1, null, "x"], "b": {}}', '{"a":\n  true}'])
def test_any_json_object_is_an_object(text):
    assert accepts(step_of(type="json_object"), text)


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "{a: 1}", '{"a": 1,}', '{"a": 01}', "{} {}"])
def test_nothing_but_an_object_is_one(text):
    assert not accepts(step_of(type="json_object"), text)


def test_tokens_of_several_characters_are_allowed_where_they_fit():
    step = step_of(type="json_object")
    assert allowed(step) >= {encode("{")[0], WORDS.index(b'{"')}
    assert WORDS.index(b'": ') in allowed(step, encode('{"a'))
    assert WORDS.index(b'{"') not in allowed(step, encode('{"a": 1'))


def test_an_end_comes_only_where_a_sentence_ends_and_then_nothing_else():
    step = step_of(type="regex", value="ab")
    assert END not in allowed(step)
    assert allowed(step, encode("ab")) == {END}
    assert allowed(step, [*encode("ab"), END]) == {END}


def test_tokens_without_a_text_are_never_allowed():
    free = allowed(step_of(type="regex", value="(?s:.)*"))
    assert free.isdisjoint({len(WORDS) - 1, len(WORDS) - 2})


def test_candidates_that_earlier_steps_left_are_narrowed():
    step = step_of(type="regex", value="[abc]")
    few = Candidates(np.array(encode("xbza")), np.array([4, 3, 2, 1], np.float32))
    left = step(few, History([], []))
    assert left.ids.tolist() == encode("ba")
    assert left.logits.tolist() == [3, 1]


def test_until_the_reasoning_ends_only_the_end_is_forbidden():
    step = step_of(type="regex", value="ok", after="</think>")
    assert allowed(step) == set(range(len(WORDS))) - {END}
    thought = encode("so {")
    assert allowed(step, thought) == set(range(len(WORDS))) - {END}
    marker = WORDS.index(b"</think>")
    assert allowed(step, [*thought, marker]) == encode_set("o")
    assert allowed(step, [*thought, marker, *encode("ok")]) == {END}


def test_an_end_of_reasoning_in_pieces_is_found():
    step = step_of(type="regex", value="ok", after="</think>")
    for place, token in enumerate(encode("no </think")):
        assert END not in allowed(step, encode("no </think")[: place + 1]), token
    assert allowed(step, encode("no </think>")) == encode_set("o")


def encode_set(text: str) -> set[int]:
    return set(encode(text))


def test_what_follows_the_marker_in_its_token_counts():
    tokens = [*WORDS[:-1], b"!\n\no"]
    longer = dataclasses.replace(context(), token_bytes=lambda index: tokens[index])
    step = step_of(longer, type="regex", value="ok", after="!")
    assert allowed(step, [len(tokens) - 1]) == encode_set("k")


@pytest.mark.parametrize(
    ("grammar", "told"),
    [
        ({"type": "regex", "value": "a("}, "regex grammar: .*unclosed group"),
        ({"type": "lark", "value": "start: nothing"}, "lark grammar: .*nothing"),
        ({"type": "lark", "value": 'start: %json {"not": {}}'}, "JSON schema at #/not: "),
        ({"type": "llguidance", "value": "{}"}, "llguidance grammar"),
        ({"type": "json_schema", "value": {"uniqueItems": True}}, "#/uniqueItems"),
        ({"type": "json_schema", "value": {"properties": {"a/b": {"not": {}}}}}, "/a~1b/not"),
        (
            {"type": "json_schema", "value": {"anyOf": [{"type": "null"}, {"pattern": "(?=a)"}]}},
            "#/anyOf/1: ",
        ),
        ({"type": "json_schema", "value": {"minLenght": 1}}, "did you mean 'minLength'"),
        ({"type": "json_schema", "value": {"$ref": "http://elsewhere/"}}, "elsewhere"),
    ],
)
def test_what_cannot_be_enforced_is_refused(grammar, told):
    with pytest.raises(RequestError, match=told):
        step_of(**grammar)


def test_a_model_without_an_end_cannot_have_a_grammar():
    with pytest.raises(RequestError, match="end token"):
        step_of(dataclasses.replace(context(), eos_ids=frozenset()), type="json_object")


@pytest.mark.parametrize("value", [None, {"a": 1}, True])
def test_a_value_that_does_not_fit_its_type_is_refused(value):
    with pytest.raises(ValueError, match="type regex has for value str"):
        Grammar(type="regex", value=value)


def test_a_grammar_is_compiled_once_and_each_request_has_its_own_place_in_it():
    shared = context()
    first, second = (step_of(shared, type="regex", value="abc") for _ in range(2))
    assert allowed(first, encode("ab")) == encode_set("c")
    assert allowed(second) == encode_set("a")
    assert len(compiled_of(shared)._kept) == 1


def test_old_grammars_are_let_go():
    shared = context()
    for number in range(KEPT + 9):
        step_of(shared, type="json_schema", value={"const": number})
    kept = compiled_of(shared)
    assert len(kept._kept) == KEPT
    assert json.dumps(["json_schema", {"const": 0}]) not in kept._kept
    assert kept._size == sum(map(len, kept._kept))
