"""Forced tokens: what a grammar leaves no choice of goes in at once, and nothing else changes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tramontane import LLM, SamplingParams
from tramontane.engine.request import RequestResult, TokenLogprob
from tramontane.errors import RequestError

from .tiny import write_model

KEYS = ["name_of_the_station", "temperature_in_degrees", "is_it_raining_there"]
SCHEMA = {
    "type": "object",
    "properties": {KEYS[0]: {"enum": ["Oslo", "Rome"]},
                   KEYS[1]: {"type": "integer", "minimum": 0, "maximum": 99},
                   KEYS[2]: {"type": "boolean"}},
    "required": KEYS,
    "additionalProperties": False,
}  # fmt: skip
REGEX = {"type": "regex", "value": "[a-c]{2} and then a long text, word for word, [a-c]{2}ok"}
WORDS = SamplingParams(max_tokens=90, temperature=1.5, seed=5, grammar=REGEX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("roomy")
    write_model(folder, max_position_embeddings=1024)
    return folder


Open = Callable[..., LLM]


@pytest.fixture(scope="module")
def open_llm(folder: Path) -> Iterator[Open]:
    opened: list[LLM] = []

    def of(*, forces: bool = True, folder: Path = folder, **options: Any) -> LLM:
        opened.append(LLM(folder, device="reference", **{"kv_tokens": 4096, **options}))
        opened[-1].inner.engine.chains.forces = forces
        return opened[-1]

    yield of
    for llm in opened:
        assert llm.inner.engine.drain(timeout=60)
        assert llm.inner.engine.stats().kv_blocks_used == 0
        llm.close()


@pytest.fixture(scope="module")
def both(open_llm: Open) -> tuple[LLM, LLM]:
    return open_llm(), open_llm(forces=False)


def same(found: RequestResult, drawn: RequestResult) -> None:
    """Equal, but for how it came about."""
    assert (found.text, found.token_ids) == (drawn.text, drawn.token_ids)
    assert (found.finish_reason, found.stop) == (drawn.finish_reason, drawn.stop)
    assert drawn.usage.forced_tokens == 0
    if found.logprobs is not None:
        assert [entry.token for entry in found.logprobs] == list(found.token_ids)
        alike(found.logprobs, drawn.logprobs or ())


def alike(found: Sequence[TokenLogprob], expected: Sequence[TokenLogprob]) -> None:
    # of the reference alone, whose products of matrices vary a little with their shapes
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.token, mine.text) == (theirs.token, theirs.text)
        assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
        assert [token for token, *_ in mine.top] == [token for token, *_ in theirs.top]


ASKED = [
    {"temperature": 0}, {"temperature": 1.5, "seed": 1}, {"mirostat": 2, "seed": 2},
    {"xtc_probability": 0.5, "temperature": 1.0, "seed": 3}, {"top_p": 0.9, "seed": 4},
    {"repetition_penalty": 1.5, "temperature": 1.0, "seed": 5}, {"logprobs": True, "seed": 6},
    {"dry_multiplier": 2.0, "logprobs": True, "top_logprobs": 3, "seed": 7},
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_an_answer_is_the_same_as_without(both: tuple[LLM, LLM], asked: dict[str, Any]) -> None:
    params = SamplingParams(max_tokens=700, **asked)
    found, drawn = (llm.generate("x", params, schema=SCHEMA).choices[0] for llm in both)
    same(found, drawn)
    assert list(json.loads(found.text)) == KEYS
    assert found.usage.forced_tokens >= sum(map(len, KEYS))


def test_forced_tokens_take_no_steps_and_are_counted(both: tuple[LLM, LLM]) -> None:
    steps, forced = [], []
    for llm in both:
        before = llm.inner.engine.stats()
        answer = llm.generate("x", WORDS)
        after = llm.inner.engine.stats()
        steps.append(after.steps - before.steps)
        forced.append(after.forced_tokens - before.forced_tokens)
        assert len(answer.token_ids) == len(answer.text) + 1
    # four letters, one each; the end is forced too
    assert steps == [4, len(answer.token_ids)]
    assert forced == [len(answer.token_ids) - 4, 0]


def test_several_answers_draw_on_their_own(both: tuple[LLM, LLM]) -> None:
    params = SamplingParams(**{**dict(WORDS), "n": 5})
    found, drawn = (llm.generate("x", params).choices for llm in both)
    for mine, theirs in zip(found, drawn, strict=True):
        same(mine, theirs)
    assert len({choice.text for choice in found}) > 1


@pytest.mark.parametrize("logprobs", [False, True])
def test_under_load_and_preempted_the_same_tokens_come(open_llm: Open, logprobs: bool) -> None:
    grammar = {"type": "regex", "value": "([a-c]{2} and then a long text, word for word, ){4}"}
    asked = {"max_tokens": 190, "grammar": grammar, "logprobs": logprobs}
    params = SamplingParams(**{**dict(WORDS), **asked})
    prompts = [[i + 3] * (10 + 9 * i) for i in range(8)]
    quiet = open_llm(prefix_cache=False)
    alone = [quiet.generate(prompt, params).choices[0] for prompt in prompts]
    for options in ({"prefix_cache": False}, {"batch_size": 7}, {"max_batched_tokens": 9}):
        llm = open_llm(**{"kv_tokens": 288, **options})
        streams = [llm.generate(prompt, params, stream=True) for prompt in prompts]
        for stream, expected in zip(streams, alone, strict=True):
            chunks = list(stream)
            assert "".join(chunk.text for chunk in chunks) == expected.text
            tokens = [chunk.token for chunk in chunks if chunk.token is not None]
            assert tuple(tokens) == expected.token_ids
            if logprobs:
                alike([c.logprob for c in chunks if c.logprob], expected.logprobs or ())
        assert llm.inner.engine.stats().preemptions > 0


def test_what_was_forced_is_found_in_the_prefix_cache(both: tuple[LLM, LLM]) -> None:
    prompt = list(range(40, 75))
    first, _ = (llm.generate(prompt, WORDS) for llm in both)
    longer = [*prompt, *first.token_ids, 7, 8, 9]
    again, drawn = (llm.generate(longer, WORDS).choices[0] for llm in both)
    same(again, drawn)
    assert again.usage.cached_tokens >= (len(prompt) + len(first.token_ids) - 1) // 16 * 16


@pytest.mark.parametrize("logprobs", [False, True])
@pytest.mark.parametrize("limit", [2, 3, 17, 40])
def test_a_limit_cuts_forced_tokens_too(both: tuple[LLM, LLM], limit: int, logprobs: bool) -> None:
    params = WORDS.model_copy(update={"max_tokens": limit, "logprobs": logprobs})
    found, drawn = (llm.generate("x", params).choices[0] for llm in both)
    same(found, drawn)
    assert (found.finish_reason, len(found.token_ids)) == ("length", limit)


@pytest.mark.parametrize("logprobs", [False, True])
def test_a_stop_string_ends_them(both: tuple[LLM, LLM], logprobs: bool) -> None:
    params = SamplingParams(**{**dict(WORDS), "stop": "long", "logprobs": logprobs})
    found, drawn = (llm.generate("x", params).choices[0] for llm in both)
    same(found, drawn)
    assert re.fullmatch("[a-c]{2} and then a ", found.text)
    assert found.stop == "long"


def test_reasoning_is_free_until_it_ends(both: tuple[LLM, LLM]) -> None:
    grammar = {"type": "regex", "value": "the answer is [ab]", "after": "k"}
    params = SamplingParams(max_tokens=300, temperature=2.0, seed=4, grammar=grammar)
    found, drawn = (llm.generate("x", params).choices[0] for llm in both)
    same(found, drawn)
    assert re.search("k ?the answer is [ab]$", found.text)
    assert found.usage.forced_tokens == len("the answer is ") + 1


def test_a_forced_token_that_is_forbidden_fails_as_a_drawn_one_does(both: tuple[LLM, LLM]) -> None:
    params = WORDS.model_copy(update={"logit_bias": {ord("w") - 33: -math.inf}})
    for llm in both:
        with pytest.raises(RequestError, match="forbid every token"):
            llm.generate("x", params)


@pytest.fixture(scope="module")
def wordy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with tokens of several letters, so that a text can be cut in several ways."""
    folder = tmp_path_factory.mktemp("wordy")
    pairs = ["l o", "lo n", "lon g", "a n", "an d", "Ġ and", "t e", "te x", "Ġ tex"]
    merged = [pair.replace(" ", "") for pair in pairs]
    end = 256 + len(pairs)
    write_model(folder, vocab_size=end + 2, eos_token_id=end, max_position_embeddings=1024)
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    data["model"]["vocab"] |= {word: 256 + i for i, word in enumerate(merged)}
    for place, token in enumerate(data["added_tokens"]):
        token["id"] = end + place
    data["model"]["merges"] = [pair.split(" ") for pair in pairs]
    path.write_text(json.dumps(data))
    return folder


def test_words_are_cut_as_the_tokenizer_cuts_them(open_llm: Open, wordy: Path) -> None:
    llm = open_llm(folder=wordy)
    answer = llm.generate("x", WORDS).choices[0]
    assert re.fullmatch(str(REGEX["value"]), answer.text)
    whole = Tokenizer.from_file(str(wordy / "tokenizer.json")).encode(answer.text[2:-4]).ids
    assert list(answer.token_ids[2 : 2 + len(whole)]) == whole
    assert len(whole) < len(answer.text[2:-4])
    same(answer, open_llm(folder=wordy, forces=False).generate("x", WORDS).choices[0])
