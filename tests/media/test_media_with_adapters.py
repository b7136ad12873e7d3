"""Prompts with images, of which each asks for another adapter: recorded steps have both, with the
bits that a prompt has alone, and the tokens of the model as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM
from tramontane.engine.request import Request, RequestResult
from tramontane.sampling_params import SamplingParams

from tests.test_mixed_adapters import linears, make

from .compared import request
from .folders import FAMILIES, picture, write

PARAMS = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, logprobs=True)
ADAPTERS = ("wide", "odd")


def opened(folder: Path, name: str, **options: Any) -> LLM:
    llm = LLM(folder, device="cpu", **options)
    within = {path: shape for path, shape in linears(llm).items() if "model.layers" in path}
    for each in ADAPTERS:
        llm.load_adapter(each, make(folder / f"{each}-{len(options)}-{name}", each, within))
    return llm


def asked(llm: LLM, name: str) -> list[Request]:
    applied = llm.inner.adapters.applied
    item = llm.inner.processors["image"].prepare(picture(70, 90))
    seen = request(llm, f"Here {FAMILIES[name].mark} is what I saw", [item], params=PARAMS)
    text = tuple(range(60, 85))
    return [
        Request(prompt=prompt, media=media, adapters=applied(each), params=PARAMS)
        for each in (None, *ADAPTERS)
        for prompt, media in ((seen.prompt, seen.media), (text, None))
    ]


def bits(result: RequestResult) -> tuple[Any, ...]:
    assert result.error is None
    assert result.logprobs is not None
    return result.token_ids, tuple(one.logprob for one in result.logprobs)


@pytest.mark.parametrize("name", ["gemma3", "qwen3-vl"])
def test_the_same_bits_alone_and_in_company(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, FAMILIES[name])
    with opened(tmp_path, "alone", prefix_cache=False) as llm:
        mixes = llm.inner.loaded.model.mixes
        assert mixes is not None
        assert all(one.adapters is None or mixes(one.adapters) for one in asked(llm, name))
        alone = [bits(llm._results([one])[0]) for one in asked(llm, name)]
        assert len({repr(each) for each in alone}) == len(alone)
        monkeypatch.setattr(llm.inner.engine, "_company", False)
        written = [bits(llm._results([one])[0]) for one in asked(llm, name)]
    for (tokens, values), (expected, theirs) in zip(alone, written, strict=True):
        assert tokens == expected
        assert values == pytest.approx(theirs, abs=1e-3)
    with opened(tmp_path, "together", batch_size=16) as llm:
        for _ in range(2):
            found = [bits(each) for each in llm._results([*asked(llm, name), *asked(llm, name)])]
            assert found == [*alone, *alone]
