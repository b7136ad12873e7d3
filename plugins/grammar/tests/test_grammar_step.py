"""The step of the chain: which tokens it leaves, by the output so far."""

from __future__ import annotations

import dataclasses
import json
import re
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane.sampling import Candidates, Forces, History, Prepares
from tramontane_plugin_grammar.grammar_cache import KEPT, compiled_of
from tramontane_plugin_grammar.step import build, make_ready
from tramontane_plugin_grammar.trouble import FAILED, first_line, stopped

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
        (
            {"type": "lark", "value": 'start: %json {"not": {"minLength": 1}}'},
            "JSON schema at #/not: ",
        ),
        ({"type": "llguidance", "value": "{}"}, "llguidance grammar"),
        ({"type": "json_schema", "value": {"uniqueItems": True}}, "#/uniqueItems"),
        (
            {"type": "json_schema", "value": {"properties": {"a/b": {"not": {"minLength": 1}}}}},
            "/a~1b/not",
        ),
        (
            {"type": "json_schema", "value": {"anyOf": [{"type": "null"}, {"pattern": "(?=a)"}]}},
            "#/anyOf/1: ",
        ),
        ({"type": "json_schema", "value": {"minLenght": 1}}, "did you mean 'minLength'"),
        ({"type": "json_schema", "value": {"$ref": "http://elsewhere/"}}, "elsewhere"),
        (
            {
                "type": "json_schema",
                "value": {
                    "properties": {
                        "a": {
                            "type": "string",
                            "pattern": r"^(?:\S+\s+){0,99}\S+$",
                            "maxLength": 5000,
                        }
                    }
                },
            },
            "#/properties/a/pattern: 'pattern' together with maxLength costs too much",
        ),
        ({"type": "json_schema", "value": {"type": "string", "nullable": 1}}, "true or false"),
        ({"type": "json_schema", "value": {"id": 4}}, "#/id: should be a text"),
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
    keys = [json.dumps(["json_schema", {"const": number}, False]) for number in (0, KEPT + 8)]
    assert [key in kept._kept for key in keys] == [False, True]
    assert kept._size == sum(map(len, kept._kept))


SOURCES = [
    {"type": "regex", "value": '[ab]c: [{]"long, long": [0-9]{1,2}}'},
    {"type": "regex", "value": "(one|once|two)( and (three|four))?"},
    {"type": "lark", "value": 'start: ("{" /[a-z]/ "}</think>") start?'},
    {"type": "json_schema", "value": {"type": "object", "additionalProperties": False,
        "properties": {"first_key": {"const": "x\"y"}, "second": {"enum": [10, 11, 12]}},
        "required": ["first_key", "second"]}},
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source["type"])
@given(choice=st.randoms(use_true_random=False))
def test_forced_tokens_are_those_of_which_masks_leave_one(source, choice):
    step, masks = step_of(KNOWN, **source), step_of(KNOWN, **source)
    assert isinstance(step, Forces)
    output: list[int] = []
    for _ in range(60):
        row = list(step.forced(History([], output)))
        alone: list[int] = []
        while END not in alone and len(left := allowed(masks, [*output, *alone])) == 1:
            alone += left
        assert row == alone[: len(row)]
        assert row or not alone
        output += row or [choice.choice(sorted(allowed(masks, output)))]
        if output[-1] == END:
            break


def test_past_the_end_nothing_is_forced():
    step = step_of(type="regex", value="ab")
    assert isinstance(step, Forces)
    assert [*step.forced(History([], encode("a")))] == encode("b")
    assert [*step.forced(History([], encode("ab")))] == [END]
    assert [*step.forced(History([], [*encode("ab"), END]))] == []


def test_of_several_ends_none_is_forced():
    several = dataclasses.replace(context(), eos_ids=frozenset({END, END - 1}))
    step = step_of(several, type="regex", value="ab")
    assert isinstance(step, Forces)
    assert [*step.forced(History([], encode("ab")))] == []
    assert allowed(step, encode("ab")) == {END, END - 1}


def test_free_text_forces_nothing_and_its_end_does():
    step = step_of(type="regex", value="ok[ab]", after="</think>")
    assert isinstance(step, Forces)
    thought = encode("so")
    assert [*step.forced(History([], thought))] == []
    done = [*thought, WORDS.index(b"</think>")]
    assert [*step.forced(History([], done))] == encode("ok")


@given(st.text(alphabet="ab01", max_size=8))
def test_a_mask_made_ahead_is_the_mask(text):
    ahead, plain = (step_of(KNOWN, type="regex", value="(a|b[01]+)*0?") for _ in range(2))
    assert isinstance(ahead, Prepares)
    output: list[int] = []
    for token in encode(text):
        ahead.prepare(History([], output))
        left = allowed(ahead, output)
        assert left == allowed(plain, output)
        if token not in left:
            break
        output.append(token)


def test_trouble_that_is_met_ahead_is_met_again():
    step = step_of(type="regex", value="ab")
    assert isinstance(step, Prepares)
    for _ in range(2):
        with pytest.raises(RequestError, match="cannot go on"):
            step.prepare(History([], encode("zz")))
    with pytest.raises(RequestError, match="cannot go on"):
        allowed(step, encode("zz"))


def test_a_vocabulary_is_made_once_however_many_ask():
    made: list[int] = []
    shared = dataclasses.replace(
        context(), token_bytes=lambda index: (made.append(index), WORDS[index])[1]
    )
    with ThreadPoolExecutor(4) as pool:
        ready = pool.submit(make_ready, shared)
        asked = [pool.submit(compiled_of, shared) for _ in range(3)]
        wait([ready, *asked])
    assert len({id(future.result()) for future in asked}) == 1
    assert sorted(made) == list(range(len(WORDS)))


def test_a_model_without_an_end_has_nothing_to_make_ready():
    without = dataclasses.replace(context(), eos_ids=frozenset())
    make_ready(without)
    assert not without.kept


def test_an_error_of_the_library_is_one_line_without_a_panic_s_text():
    panic = (
        "panic: range start index 18446744073709551615 out of range\n<backtrace>\n   0: <unknown>"
    )
    assert first_line(panic) == FAILED
    assert str(stopped(panic)) == f"the grammar cannot go on: {FAILED}"
    costly = "lexer error: too many expressions constructed\n<state>\nTokens: x"
    assert str(stopped(costly)).startswith(
        "the grammar is too costly to follow here (lexer error: too many expressions constructed)"
    )


def test_a_matcher_in_trouble_is_no_end():
    step = step_of(type="regex", value="ab")
    assert isinstance(step, Forces)
    for _ in range(2):
        with pytest.raises(RequestError, match="cannot go on"):
            step.forced(History([], encode("zz")))


SPACED = dataclasses.replace(context(), leading_spaces=1)


@pytest.mark.parametrize(
    ("pattern", "text", "right"),
    [
        ("ab", "ab", True), ("ab", " ab", True), ("ab", "  ab", False),
        (" ab", " ab", False), (" ab", "  ab", True), ("( |x)b", " b", False),
        ("( |x)b", "  b", True), ("( |x)b", " xb", True), ("a b", "a b", True),
    ],
)  # fmt: skip
def test_a_space_that_is_no_part_of_the_text_may_begin_it(pattern, text, right):
    assert accepts(step_of(SPACED, type="regex", value=pattern), text) == right


def test_after_free_text_no_space_is_put_in_front():
    step = step_of(SPACED, type="regex", value="ok", after="!")
    assert allowed(step, encode("a!")) == encode_set("o")
