"""Images of Mistral 3: their sizes, what stands for them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tramontane.checkpoint.folder import FolderCheckpoint
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane.layouts import Dense
from tramontane_arch_llama.mistral3 import Mistral3, Mistral3Config, PatchMerger, weights
from tramontane_arch_llama.mistral3_images import Mistral3Images, processor
from tramontane_arch_llama.plugin import GROWING, PIXTRAL, TINY

CONFIG: dict[str, Any] = TINY | GROWING | {"vision_config": PIXTRAL}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((100, 100), (112, 112)),
        ((28, 1), (28, 28)),
        ((3080, 1540), (1540, 784)),
        ((1541, 770), (1540, 784)),
    ],
)
def test_images_shrink_and_are_made_whole_squares(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    images = Mistral3Images(28, {"size": {"longest_edge": 1540}})
    assert images.size_of(*size) == expected


def test_a_token_ends_each_row_and_another_the_image() -> None:
    images = Mistral3Images(28, {})
    item = images.prepare(np.zeros((56, 84, 3), np.uint8))
    assert item.rows == 6
    assert images.written(item) == "[IMG][IMG][IMG][IMG_BREAK][IMG][IMG][IMG][IMG_END]"
    with pytest.raises(ValueError, match="too long: crop it"):
        images.prepare(np.zeros((1, 2000, 3), np.uint8))


def test_squares_are_merged_channel_by_channel() -> None:
    merger = PatchMerger(2, 2)
    merger.merging_layer.weight = Dense(torch.eye(8)[:2] + 10 * torch.eye(8)[[4, 5]])
    x = torch.arange(16.0).reshape(8, 2)  # 2 rows of 4 patches
    first = torch.nn.functional.unfold(x.reshape(2, 4, 2).permute(2, 0, 1)[None], 2, stride=2)[0].T
    torch.testing.assert_close(merger(x, 2), first[:, :2] + 10 * first[:, 4:6])


def test_without_an_encoder_it_is_the_language_model_alone() -> None:
    cfg = read_config(Mistral3Config, TINY | GROWING)
    assert processor(cfg, {}) is None
    with torch.device("meta"):
        model = Mistral3(cfg)
    assert not hasattr(model, "vision_tower")
    assert follow("vision_tower.patch_conv", "weight", weights(cfg)["hf"]) == []


def test_layers_that_nothing_reads_are_left_out() -> None:
    cfg = read_config(Mistral3Config, CONFIG | {"vision_feature_layer": -2})
    with torch.device("meta"):
        model = Mistral3(cfg)
    assert len(model.vision_tower.transformer.layers) == 1
    rules = weights(cfg)["hf"]
    assert follow("vision_tower.transformer.layers.1.ffn_norm", "weight", rules) == []
    assert follow("vision_tower.transformer.layers.0.ffn_norm", "weight", rules) != []


@pytest.mark.parametrize("head", [True, False])
def test_the_whole_says_whether_a_head_that_is_not_there_is_tied(
    head: bool, tmp_path: Path
) -> None:
    names = ["language_model.model.norm.weight", *(["language_model.lm_head.weight"] * head)]
    save_file({name: torch.ones(2) for name in names}, tmp_path / "model.safetensors")
    config = {
        "architectures": ["Mistral3ForConditionalGeneration"], "tie_word_embeddings": True,
        "text_config": {"tie_word_embeddings": False},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    checkpoint = FolderCheckpoint(tmp_path)
    assert checkpoint.header.config["tie_word_embeddings"] is not head
    checkpoint.close()


@pytest.mark.parametrize("sees", [True, False])
def test_an_encoder_whose_tensors_were_left_out_is_none(sees: bool, tmp_path: Path) -> None:
    names = ["language_model.model.norm.weight", *(["vision_tower.ln_pre.weight"] * sees)]
    save_file({name: torch.ones(2) for name in names}, tmp_path / "model.safetensors")
    config = {"architectures": ["Mistral3ForConditionalGeneration"], "vision_config": PIXTRAL}
    (tmp_path / "config.json").write_text(json.dumps(config))
    checkpoint = FolderCheckpoint(tmp_path)
    assert ("vision_config" in checkpoint.header.config) is sees
    checkpoint.close()


@pytest.mark.parametrize(
    "change",
    [
        {"vision_feature_layer": -4},
        {"vision_feature_layer": [-1, -2]},
        {"projector_hidden_act": "silu"},
        {"spatial_merge_size": 0},
        {"vision_config": PIXTRAL | {"model_type": "siglip_vision_model"}},
        {"vision_config": PIXTRAL | {"hidden_act": "relu"}},
        {"vision_config": PIXTRAL | {"rope_parameters": {"rope_type": "yarn"}}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Mistral3Config, CONFIG | change)


@pytest.mark.parametrize("change", [{"head_dim": 16}, {"hidden_size": 12}], ids=str)
def test_heads_of_the_encoder_are_its_width_divided(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Mistral3Config, CONFIG | {"vision_config": PIXTRAL | change})
