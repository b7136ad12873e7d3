"""Models that see, on the CPU backend: what runs as one list of kernels, how small, in how much
memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from tramontane import LLM
from tramontane.blocks.vision import EncoderLayer
from tramontane.errors import NotEnoughMemory

from .compared import GREEDY, request
from .folders import FAMILIES, picture, write

NAMES = ("gemma3", "qwen2.5-vl", "qwen3-vl", "idefics3", "mistral3", "llava")


@pytest.mark.parametrize("name", NAMES)
def test_steps_and_encoders_are_recorded(name: str, tmp_path: Path) -> None:
    vision = FAMILIES[name]
    write(tmp_path, vision)
    with LLM(tmp_path, device="cpu") as llm:
        model = llm.inner.loaded.model
        assert model.in_company
        item = llm.inner.processors["image"].prepare(picture(60, 60))
        (result,) = llm._results([request(llm, f"a {vision.mark}", [item], params=GREEDY)])
        assert result.error is None
        layers = [module for module in model.modules() if isinstance(module, EncoderLayer)]
        assert layers
        assert [getattr(layer, name).why for layer in layers for name in layer.by_rows] == [
            None for layer in layers for _ in layer.by_rows
        ]


def test_items_of_one_step_need_not_all_be_kept(tmp_path: Path) -> None:
    """A step may have rows of several images; where only one is kept, steps are shorter."""
    vision = FAMILIES["idefics3"]
    write(tmp_path, vision)
    found = []
    for kept in (1, 1 << 20):
        with LLM(tmp_path, device="cpu", media_cache=kept) as llm:
            items = [
                llm.inner.processors["image"].prepare(picture(60, 60, seed)) for seed in (0, 1)
            ]
            text = f"{vision.mark} or {vision.mark}"
            (result,) = llm._results([request(llm, text, items, params=GREEDY)])
            assert result.error is None
            found.append(result.token_ids)
    assert found[0] == found[1]


def test_an_encoder_is_quantized_to_8_bits_at_least(tmp_path: Path) -> None:
    write(tmp_path, FAMILIES["idefics3"])
    with LLM(tmp_path, device="cpu", isq=4) as llm:
        report = llm.report.quantized
        assert report is not None
        encoder = "vision_model.encoder.layers.0.self_attn.q_proj.weight"
        assert str(report.promoted[encoder]).startswith("q8")
        assert "model.layers.0.self_attn.q_proj.weight" not in report.promoted
        item = llm.inner.processors["image"].prepare(picture(60, 60))
        (result,) = llm._results([request(llm, "<image>", [item], params=GREEDY)])
        assert result.error is None


def test_the_plan_has_room_for_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, FAMILIES["idefics3"])
    monkeypatch.setattr("tramontane.memory.free", lambda: 400 << 20)
    with LLM(tmp_path, device="cpu", media_cache=64 << 20):
        pass
    with pytest.raises(NotEnoughMemory, match=r"540 MB for images \(media_cache\)"):
        LLM(tmp_path, device="cpu", media_cache=512 << 20)
