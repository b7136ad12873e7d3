"""What the parts of a configuration mean, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_llava.config import LlavaConfig
from tramontane_arch_llava.images import LlavaImages
from tramontane_arch_llava.model import Llava, weights
from tramontane_arch_llava.next import LlavaNextImages
from tramontane_arch_llava.next_config import LlavaNextConfig
from tramontane_arch_llava.plugin import TINY

VISION = TINY["vision_config"]


def test_the_published_configuration_of_seven_billion() -> None:
    """llava-hf/llava-1.5-7b-hf says little of its language model, which is Vicuna."""
    text = {"model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
            "vocab_size": 32064}  # fmt: skip
    vision = {
        "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
        "model_type": "clip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 24,
        "patch_size": 14, "projection_dim": 768, "vocab_size": 32000,
    }  # fmt: skip
    outer = {
        "image_token_index": 32000, "pad_token_id": 32001, "projector_hidden_act": "gelu",
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
        "vision_config": vision,
    }  # fmt: skip
    cfg = read_config(LlavaConfig, {**outer, **text})
    sizes = (cfg.hidden_size, cfg.intermediate_size, cfg.num_hidden_layers, cfg.head_dim)
    assert sizes == (4096, 11_008, 32, 128)
    assert (cfg.num_key_value_heads, cfg.vocab_size) == (32, 32_064)
    assert cfg.features == (23,)
    assert cfg.square_rows == 576
    assert cfg.window(0) is None
    assert cfg.vision_config.hidden_act == "quick_gelu"
    silent = read_config(LlavaConfig, {"model_type": "llava"})
    assert silent.vision_config.model_dump() == cfg.vision_config.model_dump()


@pytest.mark.parametrize(
    ("kind", "window", "biases"),
    [
        ("llama", None, (True, True)),
        ("mistral", 4096, (False, False)),
        ("qwen2", None, (True, False)),
    ],
)
def test_layers_follow_the_language_model(
    kind: str, window: int | None, biases: tuple[bool, bool]
) -> None:
    cfg = read_config(LlavaConfig, TINY | {"model_type": kind, "attention_bias": True})
    assert cfg.window(1) == window
    assert cfg.biases == biases


def test_layers_that_nothing_reads_are_left_out() -> None:
    cfg = read_config(LlavaConfig, TINY)
    with torch.device("meta"):
        model = Llava(cfg)
    assert len(model.vision_tower.encoder.layers) == 1
    rules = weights(cfg)["hf"]
    long = "vision_tower.vision_model.encoder.layers.{}.mlp.fc1"
    assert follow(long.format(1), "weight", rules) == []
    kept = follow(long.format(0), "weight", rules)
    assert [each[0] for each in kept] == ["vision_tower.encoder.layers.0.mlp.fc1"]


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "phi"},
        {"hidden_act": "gelu"},
        {"vision_feature_layer": -4},
        {"vision_feature_layer": [1, 3]},
        {"vision_feature_select_strategy": "cls"},
        {"projector_hidden_act": "silu"},
        {"vision_config": VISION | {"model_type": "siglip_vision_model"}},
        {"vision_config": VISION | {"hidden_act": "silu"}},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(LlavaConfig, TINY | change)


def test_the_middle_is_cut_out() -> None:
    images = LlavaImages(read_config(LlavaConfig, TINY), {"size": 28})
    wide = np.zeros((28, 68, 3), np.uint8)
    wide[:, 20:48] = np.arange(28 * 28 * 3).reshape(28, 28, 3) % 251
    item = images.prepare(wide)
    assert item.rows == 16
    assert (item.arrays["pixels"] == images.settings.normalized(wide[:, 20:48])).all()
    with pytest.raises(ValueError, match="crop it"):
        images.prepare(np.zeros((2, 402, 3), np.uint8))


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"shortest_edge": 56}},
        {"crop_size": {"height": 28, "width": 56}},
        {"do_pad": True},
        {"do_center_crop": False},
        {"do_normalize": False},
    ],
    ids=str,
)
def test_other_ways_to_prepare_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        LlavaImages(read_config(LlavaConfig, TINY), {"image_processor": settings})


def test_the_shape_that_shows_most_is_taken() -> None:
    cfg = read_config(LlavaNextConfig, {"model_type": "llava_next"})
    shapes = [cfg.canvas(*size) for size in ((480, 640), (900, 300), (300, 900), (100, 100))]
    assert shapes == [(672, 672), (1008, 336), (336, 1008), (336, 672)]
    assert cfg.kept(480, 640) == (6, 42, 0, 48)
    item = LlavaNextImages(cfg, {}).prepare(np.zeros((480, 640, 3), np.uint8))
    assert item.rows == 576 + 36 * 49
    assert item.arrays["pixels"].shape == (5, 3, 336, 336)
    with pytest.raises(ValueError, match="too long: crop it"):
        cfg.canvas(1, 2000)


@pytest.mark.parametrize(
    "change",
    [
        {"vision_feature_select_strategy": "full"},
        {"image_grid_pinpoints": []},
        {"image_grid_pinpoints": [[28, 50]]},
        {"image_grid_pinpoints": [[0, 28]]},
    ],
    ids=str,
)
def test_shapes_that_are_not_supported_are_refused_by_name(change: dict[str, Any]) -> None:
    shapes = {"image_grid_pinpoints": [[28, 56]]}
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(LlavaNextConfig, TINY | shapes | change)


def test_the_processor_and_the_model_have_the_same_shapes() -> None:
    shapes = {"image_grid_pinpoints": [[28, 56]]}
    cfg = read_config(LlavaNextConfig, TINY | shapes)
    assert LlavaNextImages(cfg, shapes).side == 28
    with pytest.raises(ValueError, match="image_grid_pinpoints"):
        LlavaNextImages(cfg, {"image_grid_pinpoints": [[56, 28]]})
