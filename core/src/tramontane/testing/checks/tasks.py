"""What every model of another task than text must do, built from its example."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file

from tramontane.blocks import TaskModel, TextEncoder, TokenTexts
from tramontane.blocks.vision import at_once
from tramontane.checkpoint.build import build
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.config import read_config
from tramontane.config.decoder import ModelConfig
from tramontane.errors import ConfigError
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.tasks.embed import EmbedOptions
from tramontane.tasks.loaded_task import LoadedTask
from tramontane.tasks.task import TASKS
from tramontane.tasks.waiting import run
from tramontane.testing.random_model import RandomCheckpoint, random_model


@pytest.fixture
def whole(offer: Architecture) -> Architecture:
    """One that has tensors of its own."""
    if not offer.model:
        pytest.skip("a checkpoint of several parts: each is checked as an architecture")
    return offer


def test_what_it_is_for(offer: Architecture) -> None:
    known = ", ".join(TASKS)
    assert offer.task == "" or offer.task in TASKS, f"task={offer.task!r} is not one of {known}"
    for task, target in offer.tasks.items():
        assert task in TASKS, f"tasks has {task!r}, which is not one of {known}"
        assert callable(load(target)), f"tasks[{task!r}]={target!r} must name what can be called"
    if offer.task and offer.task not in offer.tasks:
        has = TASKS[offer.task].runner is not None
        assert has, f"tasks= must say what does {offer.task!r}"


def test_the_example_validates(offer: Architecture) -> None:
    assert offer.example, "example= must be a tiny config.json: 2 layers, width 32"
    config = read_config(load(offer.config), offer.example)
    assert isinstance(config, ModelConfig), "config= must name a subclass of ModelConfig"


def test_counts_below_one_are_refused_by_name(whole: Architecture) -> None:
    for field, value in whole.example.items():
        if type(value) is int and value > 0:
            with pytest.raises(ConfigError, match=field):
                read_config(load(whole.config), {**whole.example, field: -1})


def test_the_model_builds_without_memory(whole: Architecture) -> None:
    config: Any = read_config(load(whole.config), whole.example)
    model = build(whole, config)
    assert isinstance(model, TaskModel), "model= must name a subclass of TaskModel or CausalLM"
    kept = [name for name, buffer in model.named_buffers() if buffer.device.type != "meta"]
    assert not kept, f"{kept} were computed in a constructor, which runs on the meta device"


def test_every_parameter_has_one_source(whole: Architecture) -> None:
    random_model(whole)  # the loader refuses missing, unused and doubled tensors by name


@pytest.fixture
def saved(whole: Architecture, tmp_path: Path) -> Path:
    """A folder with random weights in float32."""
    checkpoint = RandomCheckpoint(whole, random_model(whole), whole.example)
    tensors = {name: checkpoint.read(name).decode() for name in checkpoint.header.tensors}
    save_file(tensors, tmp_path / "model.safetensors")
    config = {"architectures": [whole.name], **whole.example}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize("device", ["reference", "auto"])
def test_it_loads_from_a_folder_and_computes_the_same(
    whole: Architecture, saved: Path, device: str
) -> None:
    options = LoadOptions(device=device, dtype="f32", activations="f32")
    checkpoint = open_checkpoint(saved, Registry())
    opened = LoadedTask(checkpoint, "example", Registry(), options=options)
    checkpoint.close()
    model: Any = opened.model
    if not isinstance(model, TextEncoder):
        opened.close()
        pytest.skip("no encoder of texts: what it computes is for the author's own tests")
    draw = random.Random(3)
    sizes = (1, 7, 33, 12)
    texts = [[draw.randrange(whole.example["vocab_size"]) for _ in range(n)] for n in sizes]
    expected = at_once(random_model(whole).rows(TokenTexts.of(texts)))  # type: ignore[operator]
    found = at_once(model.rows(TokenTexts.of(texts)))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)
    if "embed" in opened.tasks and device != "reference":  # whose sums are torch's
        runner = opened.runner("embed")
        company = run(opened.queue, runner.embed(texts, EmbedOptions())).vectors
        for text, vector in zip(texts, company, strict=True):
            alone = run(opened.queue, runner.embed([text], EmbedOptions())).vectors[0]
            assert (alone == vector).all(), "a text's vector depends on what is computed with it"
    opened.close()
