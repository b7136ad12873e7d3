"""The shipped folder: small, and read by transformers to the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import measure
import pytest
import torch
from pictures import UNSEEN, scene
from safetensors import safe_open
from tramontane import LLM

FOLDER = Path(__file__).parents[1] / "src/tramontane_plugin_embedded_vision/model"
SEEDS = range(UNSEEN + 20_000_000, UNSEEN + 20_000_004)


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 6_000_000


def test_weights_are_bfloat16_and_the_head_is_the_embedding() -> None:
    with safe_open(FOLDER / "model.safetensors", "pt") as file:
        names = list(file.keys())
        assert {file.get_slice(name).get_dtype() for name in names} == {"BF16"}
    assert "lm_head.weight" not in names
    assert json.loads((FOLDER / "config.json").read_text())["tie_word_embeddings"] is True


def test_the_template_and_settings_are_those_of_the_training_scripts() -> None:
    from folder import CHAT_TEMPLATE, processor

    assert (FOLDER / "chat_template.jinja").read_text("utf-8") == CHAT_TEMPLATE
    assert json.loads((FOLDER / "processor_config.json").read_text()) == processor(64)


@pytest.fixture(scope="module")
def theirs() -> tuple[Any, Any]:
    transformers = pytest.importorskip("transformers")
    model, found = transformers.AutoModelForImageTextToText.from_pretrained(
        FOLDER, dtype=torch.float32, output_loading_info=True
    )
    assert not any(found.values())
    return model, transformers.AutoProcessor.from_pretrained(FOLDER)


def test_transformers_says_the_same(theirs: tuple[Any, Any]) -> None:
    model, processor = theirs
    with LLM("embedded-vision", dtype="f32", activations="f32", kv_type="f32") as llm:
        for seed in SEEDS:
            drawn = scene(seed)
            asked = measure.user("What is in the picture?", drawn)
            text = processor.apply_chat_template([asked], add_generation_prompt=True)
            inputs = processor(text=text, images=[drawn.image], return_tensors="pt")
            with torch.no_grad():
                ids = model.generate(**inputs, max_new_tokens=40, do_sample=False)
            answer = llm.chat([asked], measure.GREEDY)
            length = inputs["input_ids"].shape[1]
            assert answer.usage.prompt_tokens == length
            assert (
                list(answer.token_ids) == ids[0, length : length + len(answer.token_ids)].tolist()
            )
