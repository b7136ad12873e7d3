"""Models without any attention: no layer has keys and values, and a context takes no memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM, SamplingParams
from tramontane.cli.main import main
from tramontane.engine.kv_size import MOST_BLOCKS
from tramontane.engine.request import Finished, Request, RequestResult
from tramontane.engine.scheduler import SNAPSHOT_EVERY
from tramontane.engine.session_file import Session, read, save
from tramontane.errors import ConfigError, NotEnoughMemory

from .parity import reference
from .parity.families import FAMILIES
from .tiny import write_tokenizer

LONG = [(7 * i + 3) % 90 for i in range(230)]
PARAMS = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("no_keys")
    record = FAMILIES["lfm2"]
    settings = {
        **record.shared,
        "layer_types": ["conv"] * 3,
        "max_position_embeddings": 2048,
        "vocab_size": write_tokenizer(folder),
    }
    reference.random(record, settings, 1).save_pretrained(folder)
    return folder


def opened(path: Path, device: str = "cpu", **options: Any) -> LLM:
    exact = {"device": device, "activations": "f32", "dtype": "f32"}
    return LLM(path, **{**exact, **options})


def ended(llm: LLM, request: Request) -> RequestResult:
    *_, last = llm.stream(request)
    assert isinstance(last, Finished)
    return last.result


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_answers_are_the_same_in_any_company(path: Path, device: str) -> None:
    prompts = [LONG, [*LONG[:150], 5, 6], [9, 8, 7]]
    with opened(path, device, prefix_cache=False) as llm:
        assert llm.report.kv_bytes_per_token == 0
        assert device == "reference" or llm.report.eager_reason is None
        alone = [llm.generate(prompt, PARAMS).token_ids for prompt in prompts]
    for told in ({}, {"kv_tokens": 512}, {"kv_memory": "8MB"}, {"kv_type": "int8"}):
        options: dict[str, Any] = {**told, "batch_size": 48, "max_seqs": 3}
        with opened(path, device, **options) as llm:
            for _ in range(2):
                streams = [llm.generate(prompt, PARAMS, stream=True) for prompt in prompts]
                answers = [[c.token for c in each if c.token is not None] for each in streams]
                assert answers == list(map(list, alone))


def test_a_context_for_each_that_runs(path: Path) -> None:
    with opened(path, num_ctx=1000, max_seqs=5) as llm:
        assert llm.context_length == 1000
        assert llm.inner.engine.cache.blocks == 5 * 63
    with opened(path, num_ctx=MOST_BLOCKS * 4, max_seqs=5) as llm:
        assert llm.inner.engine.cache.blocks == MOST_BLOCKS
    with opened(path, num_ctx=1000, kv_tokens=160) as llm:
        assert llm.context_length == 160


def test_a_prefix_is_not_computed_twice(path: Path) -> None:
    prefix = [(5 * i + 1) % 90 for i in range(SNAPSHOT_EVERY)]
    with opened(path) as llm:
        first = ended(llm, Request(prompt=(*prefix, *LONG[:50]), params=PARAMS))
        second = ended(llm, Request(prompt=(*prefix, *LONG[:50]), params=PARAMS))
        assert second.usage.cached_tokens == SNAPSHOT_EVERY + 48
        assert second.token_ids == first.token_ids


def test_sessions_are_of_any_type_of_keys(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "session"
    with opened(path) as llm:
        kept = ended(llm, Request(prompt=tuple(LONG), params=PARAMS, keep=True))
        whole = ended(llm, Request(prompt=(*LONG, *kept.token_ids, 7), params=PARAMS))
        save(file, Session((), kept.snapshot), llm.inner)
    with opened(path, kv_type="int8", prefix_cache=False) as llm:
        saved = read(file, llm.inner).snapshot
        longer = Request(prompt=(*LONG, *kept.token_ids, 7), params=PARAMS, resume=saved)
        resumed = ended(llm, longer)
        assert resumed.usage.cached_tokens == len(LONG) + 19
        assert resumed.token_ids == whole.token_ids


def test_memory_is_for_states(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"less than .* states of 4 sequences take"):
        opened(path, kv_memory="1KB")
    from tramontane.placement import choose

    def narrow(name: str, registry: Any) -> Any:
        device, backend = chosen(name, registry)
        return replace(device, memory_free=1 << 20), backend

    chosen = choose.choose_device
    monkeypatch.setattr(choose, "choose_device", narrow)
    with pytest.raises(NotEnoughMemory, match=r"of weights\), and .* quantization or --force"):
        opened(path)


def test_what_is_said_of_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "-m", str(path)]) == 0
    assert "nothing, no layer has keys and values" in capsys.readouterr().out
    assert main(["inspect", "-m", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["kv_bytes_per_token"].values()) == {0}
    assert found["state_bytes_per_sequence"] > 0
    bench = ["bench", "-m", str(path), "--prompt", "8", "--gen", "4", "--reps", "1"]
    assert main(bench) == 0
    assert "no keys and values" in capsys.readouterr().out


def test_a_server_has_a_context_for_each_that_runs(path: Path) -> None:
    from tramontane_plugin_server.lifecycle import _about
    from tramontane_plugin_server.model_manager import Served, load
    from tramontane_plugin_server.model_settings import ModelSettings

    settings = ModelSettings(model=str(path), max_seqs=6, num_ctx=1024)
    served = Served(settings)
    served.model = load(settings)
    try:
        assert served.model.engine.cache.blocks == 6 * 64
        assert _about(served).endswith("KV cache 6,144 tokens, no keys and values")
    finally:
        served.model.close()
