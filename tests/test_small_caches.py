"""Caches of 8 and 4 bits from end to end: what they give back is the same in any way."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tramontane import LLM, SamplingParams
from tramontane.checkpoint.load import KV_TYPES
from tramontane.cli.main import main
from tramontane.cli.perplexity import measure
from tramontane.engine.request import Finished, Request, RequestResult
from tramontane.engine.session_file import Session, read, save
from tramontane.errors import NotEnoughMemory, RequestError, SessionError

from .parity import gguf_file
from .test_real_weights import DATA, FILES, WEIGHTS
from .tiny import write_model

GREEDY = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True, logprobs=True)
PROMPT = tuple(range(5, 75))
HEAD = 32
KINDS = ["int8", "int4", "f8e4m3"]
BYTES = {"int8": HEAD + 2, "int4": HEAD // 2 + 2, "f8e4m3": HEAD}
"""Of a head."""
STORED = {"int8": torch.int8, "int4": torch.uint8, "f8e4m3": torch.uint8}


@pytest.fixture(scope="module", params=KINDS)
def coded(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"device": "cpu", "kv_type": request.param, "threads": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder, head_dim=HEAD)
    return folder


@pytest.fixture(scope="module")
def llm(folder: Path, coded: dict[str, Any]) -> Iterator[LLM]:
    with LLM(folder, **coded) as llm:
        yield llm


def ask(llm: LLM, **fields: Any) -> RequestResult:
    *_, last = llm.stream(Request(**{"prompt": PROMPT, "params": GREEDY, **fields}))
    assert isinstance(last, Finished)
    return last.result


def told(result: RequestResult) -> tuple[object, object]:
    """Tokens and their exact log-probabilities."""
    assert result.error is None
    return result.token_ids, [entry.logprob for entry in result.logprobs or ()]


def test_a_prefix_hit_reads_what_chunks_read(folder: Path, llm: LLM, coded: dict[str, Any]) -> None:
    first = ask(llm)
    again = ask(llm)
    assert again.usage.cached_tokens > 48 > first.usage.cached_tokens
    assert told(again) == told(first)
    for size in (1, 7, 33):
        with LLM(folder, **coded, batch_size=size, prefix_cache=False) as other:
            assert told(ask(other)) == told(first)
    with LLM(folder, device="cpu", kv_type="f32") as exact:
        assert told(ask(exact))[1] != told(first)[1], "the cache kept floats"


def test_answers_that_share_a_prompt_copy_its_last_block(llm: LLM) -> None:
    params = GREEDY.model_copy(update={"temperature": 1.5, "seed": 2})
    together = llm.generate(PROMPT, params.model_copy(update={"n": 4}))
    alone = [
        llm.generate(PROMPT, params.model_copy(update={"seed": 2 + i})).token_ids for i in range(4)
    ]
    assert [choice.token_ids for choice in together.choices] == alone


def test_preemption_loses_nothing(folder: Path, llm: LLM, coded: dict[str, Any]) -> None:
    params = GREEDY.model_copy(update={"max_tokens": 120})
    prompts = [[i + 3] * (10 + 7 * i) for i in range(6)]
    alone = [llm.generate(prompt, params).token_ids for prompt in prompts]
    with LLM(folder, **coded, kv_tokens=320) as small:
        chunks = [small.generate(prompt, params, stream=True) for prompt in prompts]
        answers = [tuple(c.token for c in chunk if c.token is not None) for chunk in chunks]
        assert answers == alone
        assert small.inner.engine.stats().preemptions > 0


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_a_session_keeps_the_codes(
    folder: Path, device: str, tmp_path: Path, coded: dict[str, Any]
) -> None:
    path = tmp_path / "session"
    with LLM(folder, **{**coded, "device": device}, prefix_cache=False) as llm:
        whole = ask(llm)
        kept = ask(llm, params=GREEDY.model_copy(update={"max_tokens": 8}), keep=True)
        save(path, Session((), kept.snapshot), llm.inner)
        snapshot = read(path, llm.inner).snapshot
        assert snapshot is not None
        kinds = {tensor.dtype for pair in snapshot.layers for tensor in pair}
        assert kinds == {STORED[coded["kv_type"]]}
        longer = (*PROMPT, *whole.token_ids[:8])
        rest = GREEDY.model_copy(update={"max_tokens": 12})
        resumed = ask(llm, prompt=longer, params=rest, resume=snapshot)
        assert resumed.usage.cached_tokens == len(longer) - 1
        assert resumed.token_ids == whole.token_ids[8:]
    with (
        LLM(folder, device=device, kv_type="f16") as other,
        pytest.raises(SessionError, match="give --kv-type"),
    ):
        read(path, other.inner)


@pytest.mark.parametrize("family", ["phi3", "gemma2"])
def test_windows_drop_their_pages(family: str, tmp_path: Path, coded: dict[str, Any]) -> None:
    path = tmp_path / "model.gguf"
    gguf_file.pair(family, Type.Q8_0, path, max_position_embeddings=512)
    options = {**coded, "num_ctx": 512, "overrides": {"sliding_window": 40}}
    long = tuple((7 * i + 3) % 90 for i in range(230))
    params = GREEDY.model_copy(update={"max_tokens": 60})
    with LLM(path, **options, batch_size=512, prefix_cache=False) as llm:
        expected = told(ask(llm, prompt=long, params=params))
    with LLM(path, **options, batch_size=32) as llm:
        (pages,) = llm.inner.engine.cache.windows
        assert told(ask(llm, prompt=long, params=params)) == expected
        assert pages.used < 230 // 16
        assert told(ask(llm, prompt=long, params=params)) == expected


def test_numbers_that_are_not_finite_end_their_request(folder: Path, coded: dict[str, Any]) -> None:
    """In the cache, not only in what the model makes of it."""
    for kind in ("f16", coded["kv_type"]):
        options = {**coded, "kv_type": kind, "mmap": False, "prefix_cache": False}
        with LLM(folder, **options) as llm:
            healthy = ask(llm)
            weight = llm.inner.loaded.model.model.layers[0].self_attn.v_proj.weight.data
            before = weight[3, 3].clone()
            weight[3, 3] = math.inf
            assert "nan among the logits" in (ask(llm).error or "")
            weight[3, 3] = before
            assert told(ask(llm)) == told(healthy)


def test_bytes_are_counted_with_their_scales(folder: Path, llm: LLM, coded: dict[str, Any]) -> None:
    layers, heads = 2, 2
    kind = coded["kv_type"]
    each = layers * heads * 2 * BYTES[kind]
    assert llm.report.kv_dtype == KV_TYPES[kind]
    assert llm.report.kv_bytes_per_token == each
    with LLM(folder, **coded, kv_memory=f"{each * 16 * 10 + 5}B") as small:
        assert small.inner.engine.cache.blocks == 10
    with pytest.raises(NotEnoughMemory, match=r"and .* are free"):
        LLM(folder, **coded, kv_tokens=10**13)
    with pytest.raises(
        RequestError, match=r"should be one of auto, f32, bf16, f16, int8, .*'q8_0'"
    ):
        LLM(folder, **{**coded, "kv_type": "q8_0"})


def test_commands_say_what_a_token_takes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    each = {kind: 2 * 2 * 2 * size for kind, size in BYTES.items()}
    each["f8e5m2"] = each["f8e4m3"]
    assert main(["inspect", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["kv_bytes_per_token"]
    assert found == {"f32": 1024, "bf16": 512, "f16": 512, **each}
    assert main(["inspect", str(folder)]) == 0
    assert f"512 B in f16, {each['int8']} B in int8" in capsys.readouterr().out
    small = ["--prompt", "8", "--gen", "4", "--reps", "1", "--kv-type", "int4"]
    assert main(["bench", "-m", str(folder), *small, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["kv_type"], measured["kv_bytes_per_token"]) == ("int4", each["int4"])


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"no real weights: {WEIGHTS} is absent")
@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", ["gguf_f16", "gguf_q8_0"])
def test_perplexity_stays(name: str, device: str) -> None:
    text = (DATA / "text/tinystories_sample.txt").read_text("utf-8")
    found = {}
    for kind in ("f32", "int8", "int4", "f8e4m3"):
        options = {"device": device, "activations": "f32", "kv_type": kind}
        with LLM(WEIGHTS / FILES[name], **options) as llm:
            window = llm.context_length
            total, count = measure(llm, llm.tokenize(text), window, window // 2)
            found[kind] = math.exp(-total / count)
    assert found["int8"] == pytest.approx(found["f32"], rel=0.005)
    assert found["f8e4m3"] == pytest.approx(found["f32"], rel=0.02)
    assert found["int4"] == pytest.approx(found["f32"], rel=0.05)
