"""Trained weights, from real files of several kinds: the text they greedily write is known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tramontane import LLM, SamplingParams
from tramontane.cli.perplexity import measure
from tramontane.engine.request import Finished, Request

DATA = Path(__file__).parents[2] / "shared" / "data"
WEIGHTS = DATA / "weights"
FILES = {
    "fp32": "TinyStories-656K/fp32",
    "bf16": "TinyStories-656K/16bit",
    "gguf_f16": "TinyStories-656K/gguf/TinyStories-656K.f16.gguf",
    "gguf_q8_0": "TinyStories-656K/gguf/tinystories-656k-q8_0.gguf",
    "gguf_q8_0_b": "TinyStories-656K/gguf/TinyStories-656K-Q8_0_b.gguf",
}
DEVICES = ["reference", "cpu"]
pytestmark = pytest.mark.skipif(
    not WEIGHTS.exists(), reason=f"no real weights: {WEIGHTS} is absent"
)


@pytest.fixture(scope="module")
def expected() -> Any:
    return json.loads((DATA / "derived/llama_tiny_reference.json").read_text())


@pytest.fixture(scope="module", params=[(d, f) for d in DEVICES for f in FILES], ids="-".join)
def story(request: pytest.FixtureRequest, expected: Any) -> Iterator[tuple[LLM, Any, Any]]:
    device, name = request.param
    with LLM(WEIGHTS / FILES[name], device=device, activations="f32") as llm:
        record = expected["TinyStories-656K"]
        yield llm, record, record["variants"][name]


def test_greedy_text(story: tuple[LLM, Any, Any]) -> None:
    llm, record, variant = story
    prompt = record["prompt"]["ids"]
    params = SamplingParams(
        temperature=0,
        max_tokens=len(variant["greedy_ids"]) - len(prompt),
        ignore_eos=True,
        skip_special_tokens=False,
    )
    result = llm.generate(prompt, params)
    assert [*prompt, *result.token_ids] == variant["greedy_ids"]
    assert llm.detokenize(variant["greedy_ids"]).strip() == variant["greedy_text"].strip()


def test_logits(story: tuple[LLM, Any, Any]) -> None:
    llm, record, variant = story
    prompt = record["prompt"]["ids"]
    params = SamplingParams(temperature=0, max_tokens=1, logprobs=True, top_logprobs=5)
    result = llm.generate(prompt, params)
    assert result.logprobs is not None
    logits = np.array(record["last_logits_fp32"])
    normal = np.log(np.exp(logits - logits.max()).sum()) + logits.max()
    bound = 2 * variant["max_abs_logit_diff_vs_fp32"] + 1e-3
    for token, _, logprob in result.logprobs[0].top:
        assert logprob == pytest.approx(logits[token] - normal, abs=bound)


@pytest.mark.parametrize("device", DEVICES)
def test_published_story(expected: Any, device: str) -> None:
    record = expected["stories260K"]
    with LLM(WEIGHTS / "stories260K/stories260K.gguf", device=device, activations="f32") as llm:
        ids = record["greedy_from_bos_ids"]
        params = SamplingParams(temperature=0, max_tokens=len(ids) - 1, ignore_eos=True)
        result = llm.generate(ids[:1], params)
        assert [ids[0], *result.token_ids] == ids
        # the record spells the newline token as a vocabulary does
        assert result.text.strip() == record["text"].replace("<0x0A>", "\n").strip()
        assert result.text.strip()[:400] in (WEIGHTS / "stories260K/stories260K.md").read_text()
        assert llm.tokenize(record["prompt"]["text"]) == record["prompt"]["ids"]
        request = Request(prompt=tuple(record["prompt"]["ids"]), params=params)
        *_, last = llm.stream(request)
        assert isinstance(last, Finished)
        assert last.result.token_ids[0] == record["prompt"]["top5"][0]


@pytest.mark.parametrize("name", ["gguf_q8_0", "gguf_q8_0_b", "bf16"])
def test_rounded_activations_cost_little(name: str) -> None:
    """Perplexity of stories, with activations in 8 bits and keys and values in half precision."""
    text = (DATA / "text/tinystories_sample.txt").read_text("utf-8")
    found = {}
    for device, activations in (("reference", "f32"), ("cpu", "auto")):
        with LLM(WEIGHTS / FILES[name], device=device, activations=activations) as llm:
            window = llm.context_length
            total, count = measure(llm, llm.tokenize(text), window, window // 2)
            found[device] = math.exp(-total / count)
    assert found["cpu"] == pytest.approx(found["reference"], rel=0.005)


@pytest.mark.parametrize(
    ("prompt", "text"), [("Once upon a", " time, there"), ("Once upon a time", ", there was")]
)
def test_a_text_goes_on_with_its_space(prompt: str, text: str) -> None:
    # a SentencePiece vocabulary has the space in the word's token
    path = WEIGHTS / "stories260K" / "stories260K.gguf"
    if not path.exists():
        pytest.skip(f"no test data at {path}")
    params = SamplingParams(temperature=0, max_tokens=3, logprobs=True)
    with LLM(str(path)) as llm:
        found = llm.generate(prompt, params)
        assert found.text == text
        inner, ids = llm.inner.tokenizer.inner, llm.tokenize(prompt)
        assert inner.decode([*ids, *found.token_ids]) == inner.decode(ids) + text
        assert b"".join(entry.bytes for entry in found.logprobs or ()).decode() == text
        parts = [chunk.text for chunk in llm.generate(prompt, params, stream=True)]
        assert "".join(parts) == text
        # a text that begins has none
        assert not llm.generate([llm.inner.tokenizer.bos_id or 0], params).text.startswith(" ")
