"""Slices of images, what stands for them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_minicpm.plugin import SEEING, TINY
from tramontane_arch_minicpm.resampler import positions
from tramontane_arch_minicpm.slices import Slices
from tramontane_arch_minicpm.vision import MiniCpmVisionConfig, SliceEmbeddings, weights

FILES = {"patch_size": 16, "image_feature_size": 4, "scale_resolution": 64, "use_image_id": True}
PUBLISHED = {
    "patch_size": 14, "max_slice_nums": 9, "scale_resolution": 448, "image_feature_size": 64,
    "use_image_id": True, "version": 2.6,
}  # fmt: skip
MINICPM_O = {
    "version": "2.6", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 151700, "hidden_act": "silu",
    "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "minicpmo",
    "query_num": 64, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "sliding_window": 131072,
    "slice_config": {"max_slice_nums": 9, "model_type": "minicpmv"}, "slice_mode": True,
    "tie_word_embeddings": False, "use_image_id": True, "use_sliding_window": False,
    "drop_vision_last_layer": False, "init_audio": True, "init_tts": True, "init_vision": True,
    "vision_config": {"hidden_size": 1152, "image_size": 980, "intermediate_size": 4304,
                      "model_type": "siglip_vision_model", "num_attention_heads": 16,
                      "num_hidden_layers": 27, "patch_size": 14},
}  # fmt: skip


def slices(**more: Any) -> Slices:
    return Slices(read_config(MiniCpmVisionConfig, TINY | SEEING), FILES | more)


def test_a_configuration_in_the_published_form() -> None:
    cfg = read_config(MiniCpmVisionConfig, MINICPM_O)
    assert (cfg.layers_read, cfg.vision_config.side, cfg.query_num, cfg.head_dim) == (
        27,
        70,
        64,
        128,
    )
    assert read_config(MiniCpmVisionConfig, {"version": 2.6}).layers_read == 26
    images = Slices(cfg, PUBLISHED)
    assert images.grid(1080, 1920) == (4, 2)
    assert images.grid(448, 448) == (0, 0)
    assert images.fitted(1080, 1920, larger=False) == (336, 602)


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [(64, 64, (0, 0)), (5, 3, (0, 0)), (64, 128, (2, 1)), (300, 301, (3, 3)), (40, 900, (9, 1))],
)
def test_an_image_is_cut_where_it_is_large(height: int, width: int, grid: tuple[int, int]) -> None:
    images = slices()
    item = images.prepare(np.zeros((height, width, 3), np.uint8))
    assert tuple(item.arrays["grid"]) == grid
    assert item.rows == 4 * (1 + grid[0] * grid[1])
    assert images.written(item).count("<unk>") == item.rows
    for name in ("source", "slices"):
        assert not any(side % 16 for side in item.arrays[name].shape[-2:])


def test_what_stands_for_an_image() -> None:
    images = slices(max_slice_nums=4)
    item = images.prepare(np.zeros((128, 128, 3), np.uint8))
    shown = "<unk>" * 4
    line = f"<slice>{shown}</slice>" * 2
    text = f"<image>{shown}</image>{line}\n{line}"
    assert images.written(item) == text
    whole = images.assembled(["a", "b", ""], [text, text])
    assert whole == f"a<image_id>0</image_id>{text}b<image_id>1</image_id>{text}"
    assert slices(use_image_id=False).assembled(["a", ""], [text]) == f"a{text}"


def test_positions_are_those_of_the_column_and_then_of_the_row() -> None:
    found = positions(2, 3, 8)
    assert found.shape == (6, 8)
    angles = torch.tensor([2.0, 0.02])
    torch.testing.assert_close(found[5, :4], torch.cat((angles.sin(), angles.cos())))
    torch.testing.assert_close(found[5, 4:], torch.cat(((angles / 2).sin(), (angles / 2).cos())))


def test_buckets_of_steps_in_float32() -> None:
    config = read_config(MiniCpmVisionConfig, TINY | SEEING)
    with torch.device("meta"):
        embeddings = SliceEmbeddings(config.vision_config)
    assert embeddings.places(4).tolist() == [0, 1, 2, 3]
    assert embeddings.places(9).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]


def test_what_speaks_is_left_out() -> None:
    rules = weights(read_config(MiniCpmVisionConfig, TINY | SEEING))["hf"]
    assert follow("tts.head", "weight", rules) == []
    (kept,) = follow("resampler.attn", "in_proj_weight", rules)
    assert kept[:2] == ("resampler.attn.in_proj", "weight")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2.5}, "version 2.5; only MiniCPM-V and MiniCPM-o 2.6"),
        ({"version": None}, "no version"),
        ({"hidden_size": 96}, "hidden_size 96 is not a multiple of 128"),
        ({"slice_mode": False}, "slice_mode"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"hidden_act": "gelu"}, "hidden_act"),
    ],
)
def test_configurations_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(MiniCpmVisionConfig, TINY | SEEING | change)


@pytest.mark.parametrize(
    "change",
    [{"slice_mode": False}, {"patch_size": 14}, {"image_feature_size": 64}, {"max_slice_nums": 0}],
    ids=str,
)
def test_processors_that_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        slices(**change)
