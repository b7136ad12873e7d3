"""GGUF models with an encoder in a file of its own, against the folders that they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tramontane import LLM
from tramontane.engine.request import Request
from tramontane.sampling_params import SamplingParams

from .compared import CASES, SIZES, request
from .folders import FAMILIES, Vision, mistral3, picture, write
from .gguf_pair import write_pair

NAMES = [
    ("gemma3-wide", "reference"), ("llava-qwen2-two-layers", "reference"),
    ("llava-next", "reference"), ("mistral3", "reference"), ("ministral3", "reference"),
    ("smolvlm", "reference"), ("qwen2-vl", "reference"), ("qwen2.5-vl", "reference"),
    ("qwen3-vl-every-layer", "reference"), ("qwen3-vl", "cpu"),
]  # fmt: skip
"""All kinds of encoders; a backend sees nothing of where weights are from, so one run is enough."""
VISIONS: dict[str, Vision] = {
    **FAMILIES,
    "ministral3": mistral3(
        {"patch_size": 6}, 60, "Ministral3", spatial_merge_size=3, multimodal_projector_bias=True,
        text_config={"rope_parameters": {
            "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "llama_4_scaling_beta": 0.3,
            "original_max_position_embeddings": 128}},
    ),
}  # fmt: skip
EXACT: dict[str, Any] = {"dtype": "f32", "activations": "f32", "kv_type": "f32"}


def logits(path: Path, name: str, device: str, **options: Any) -> tuple[list[Any], tuple[int, ...]]:
    """Of two prompts with images and one without, and the ids of the first."""
    vision, found, ids = VISIONS[name], [], ()
    with LLM(path, device=device, **EXACT, **options) as llm:
        processor = llm.inner.processors["image"]
        items = [processor.prepare(picture(*size, seed)) for seed, size in enumerate(SIZES)]
        for count, text in (CASES["one, first"], CASES["three among words"]):
            asked = request(llm, text.format(vision.mark), items[:count])
            ids = ids or asked.prompt
            scored = Request(
                prompt=asked.prompt, media=asked.media, prompt_logits=True,
                params=SamplingParams(max_tokens=0, temperature=0),
            )  # fmt: skip
            (result,) = llm._results([scored])
            assert result.error is None
            found.append(result.prompt_logits)
        found.append(llm.logits(llm.tokenize("some text")))
    return found, ids


@pytest.mark.parametrize(("name", "device"), NAMES)
def test_the_pair_computes_what_the_folder_does(name: str, device: str, tmp_path: Path) -> None:
    source, pair = tmp_path / "folder", tmp_path / "pair"
    source.mkdir()
    pair.mkdir()
    write(source, VISIONS[name])
    model, encoder = write_pair(source, pair)
    wanted, ids = logits(source, name, device)
    found, same = logits(model, name, device, mmproj=encoder)
    assert ids == same
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
