"""Equal beginnings are equal chains, whatever form they have."""

from __future__ import annotations

import pytest
from tramontane_plugin_router.prefix_blocks import MOST_BLOCKS, chain_of
from tramontane_plugin_router.prefix_map import PrefixMap

CHAT, TEXT, MESSAGES, RESPONSES = (
    "/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses",
)  # fmt: skip


def said(*texts: str) -> list[dict[str, str]]:
    return [
        {"role": "user" if i % 2 == 0 else "assistant", "content": text}
        for i, text in enumerate(texts)
    ]


def test_a_conversation_that_goes_on_begins_with_all_of_what_was() -> None:
    first = chain_of(CHAT, {"messages": said("a" * 700)})
    later = chain_of(CHAT, {"messages": said("a" * 700, "b", "c" * 300)})
    assert first.ends
    assert len(first.keys) == 1 + 3
    assert later.keys[: len(first.keys)] == first.keys
    assert len(later.keys) == len(first.keys) + 1 + 2


def test_texts_that_differ_in_the_middle_share_what_is_before() -> None:
    one = chain_of(TEXT, {"prompt": "a" * 1000 + "b" * 1000})
    other = chain_of(TEXT, {"prompt": "a" * 1000 + "c" * 1000})
    shared = [x == y for x, y in zip(one.keys, other.keys, strict=True)]
    assert shared == [True] * (1 + 3) + [False] * (len(one.keys) - 4)
    assert not one.ends


def test_models_adapters_and_tools_are_part_of_the_beginning() -> None:
    plain = {"messages": said("x")}
    found = {
        chain_of(CHAT, body).keys
        for body in (
            plain, {**plain, "model": "a"}, {**plain, "adapter": "a"},
            {**plain, "tools": [{"type": "function"}]},
        )
    }  # fmt: skip
    assert len(found) == 4
    assert chain_of(CHAT, {**plain, "temperature": 0.5}).keys == chain_of(CHAT, plain).keys


def test_a_text_and_a_list_of_one_text_are_the_same() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert chain_of(CHAT, {"messages": parts}) == chain_of(CHAT, {"messages": said("hi")})
    items = [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
    plain = {"instructions": "be", "input": said("hi")}
    assert chain_of(RESPONSES, {**plain, "input": items}) == chain_of(RESPONSES, plain)


def test_the_system_prompt_of_messages_comes_first() -> None:
    one = chain_of(MESSAGES, {"system": "s" * 600, "messages": said("x")})
    other = chain_of(MESSAGES, {"system": "s" * 600, "messages": said("y")})
    assert one.keys[:4] == other.keys[:4]
    assert one.keys[4] != other.keys[4]


@pytest.mark.parametrize("body", [
    None, [], "x", 3, {}, {"messages": 3}, {"messages": [3, None]}, {"messages": [{"role": []}]},
    {"messages": [{"content": [3, {"text": 4}]}]}, {"prompt": [[1], [2]]}, {"prompt": 4.5},
    {"input": None, "instructions": 3}, {"system": [{"text": "x"}]}, {"messages": said("\ud800")},
])  # fmt: skip
@pytest.mark.parametrize("path", [CHAT, TEXT, MESSAGES, RESPONSES, "/v1/embeddings"])
def test_what_is_no_request_has_a_chain_too(path: str, body: object) -> None:
    assert chain_of(path, body) == chain_of(path, body)


def test_long_prompts_have_few_blocks() -> None:
    assert len(chain_of(TEXT, {"prompt": "word " * 200_000}).keys) < 800
    many = chain_of(CHAT, {"messages": said("x") * 5000})
    assert len(many.keys) == MOST_BLOCKS
    assert not many.ends


def test_the_map_forgets_the_ends_of_what_was_unused_for_long() -> None:
    prefixes = PrefixMap(most=20)
    old = chain_of(TEXT, {"prompt": "a" * 256 * 14})
    new = chain_of(TEXT, {"prompt": "b" * 256 * 9})
    prefixes.add(old, "one")
    prefixes.add(new, "two")
    assert len(prefixes) == 20
    assert prefixes.matches(new.keys)[0] == {"one": 1, "two": 10} or prefixes.matches(new.keys)[
        0
    ] == {"two": 10}  # the first block, of the model, may be both's
    assert 1 <= prefixes.matches(old.keys)[0]["one"] < 15
    assert prefixes.held("one") + prefixes.held("two") >= 20


def test_a_replica_that_is_forgotten_has_nothing() -> None:
    prefixes = PrefixMap()
    chain = chain_of(CHAT, {"messages": said("x" * 999)})
    for name in ("one", "two"):
        prefixes.add(chain, name)
    prefixes.forget("one")
    assert prefixes.matches(chain.keys) == ({"two": len(chain.keys)}, {"two": len(chain.keys)})
    prefixes.forget("two")
    assert len(prefixes) == prefixes.held("one") == prefixes.held("two") == 0
