"""Tiles of Llama 3.2 Vision, its first token, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_llama.mllama_config import MllamaConfig, MllamaVisionConfig
from tramontane_arch_llama.mllama_images import MllamaImages
from tramontane_arch_llama.plugin import MLLAMA, TINY

CONFIG: dict[str, Any] = TINY | MLLAMA
PUBLISHED: dict[str, Any] = {
    "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38], "hidden_size": 4096,
    "intermediate_size": 14336, "num_attention_heads": 32, "num_hidden_layers": 40,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "vocab_size": 128256,
    "rope_scaling": {
        "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    "max_position_embeddings": 131072, "hidden_act": "silu", "tie_word_embeddings": False,
    "vision_config": {
        "attention_heads": 16, "hidden_act": "gelu", "hidden_size": 1280, "image_size": 560,
        "intermediate_layers_indices": [3, 7, 15, 23, 30], "intermediate_size": 5120,
        "max_num_tiles": 4, "norm_eps": 1e-05, "num_channels": 3, "num_global_layers": 8,
        "num_hidden_layers": 32, "patch_size": 14, "vision_output_dim": 7680,
        "supported_aspect_ratios": [
            [1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]},
}  # fmt: skip
"""As Llama-3.2-11B-Vision has it."""


def images(**files: Any) -> MllamaImages:
    return MllamaImages(read_config(MllamaConfig, CONFIG), files)


@pytest.mark.parametrize(
    ("height", "width", "way", "size"),
    [
        (1, 1, (1, 1), (16, 16)),
        (16, 17, (1, 2), (16, 17)),
        (40, 16, (3, 1), (40, 16)),
        (3, 200, (1, 4), (1, 64)),
        (300, 300, (2, 2), (32, 32)),
        (64, 8, (4, 1), (64, 8)),
    ],
)
def test_an_image_lies_on_the_canvas_that_it_fills_best(
    height: int, width: int, way: tuple[int, int], size: tuple[int, int]
) -> None:
    made = images()
    index = made.way_of(height, width)
    assert made.ways[index] == way
    assert made.size_of(height, width, index) == size
    item = made.prepare(np.zeros((height, width, 3), np.uint8))
    assert item.arrays["tiles"].shape == (way[0] * way[1], 3, 16, 16)
    assert (item.rows, item.cross) == (1, 5 * way[0] * way[1])
    assert made.written(item) == "<|image|>"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Hello", "<s>Hello"),
        ("<|image|><|image|>Hello", "<|image|><|image|><s>Hello"),
        ("a <|image|>", "<s>a <|image|>"),
        ("<|image|><s>Hello", "<|image|><s>Hello"),
    ],
)
def test_the_first_token_stands_behind_images(text: str, whole: str) -> None:
    assert images().completed(text, "<s>") == whole
    assert images().completed(text, None) == text


def test_the_published_configuration_is_the_defaults_but_for_its_tiles() -> None:
    told = read_config(MllamaConfig, PUBLISHED)
    assert told.known_tokens == 128_264
    same = read_config(MllamaConfig, {
        "rope_scaling": PUBLISHED["rope_scaling"], "vision_config": {"image_size": 560},
        "tie_word_embeddings": True, "head_dim": 64,
    })  # fmt: skip
    assert told == same
    item = MllamaImages(
        told, {"size": {"height": 560, "width": 560}, "max_image_tiles": 4}
    ).prepare(np.zeros((700, 900, 3), np.uint8))
    assert item.cross == 4 * 1601


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"cross_attention_layers": [3]}, "cross_attention_layers has 3"),
        ({"cross_attention_layers": []}, "no layer sees an image"),
        ({"cross_attention_layers": [0, 1, 2]}, "none attends to the text"),
    ],
)
def test_configurations_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(MllamaConfig, CONFIG | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vision_output_dim": 16}, "vision_output_dim 16, but the encoder gives 32"),
        ({"intermediate_layers_indices": [2]}, "not all of an encoder of 2 layers"),
        ({"max_num_tiles": 5}, "supported_aspect_ratios"),
        ({"attention_heads": 3}, "not a multiple of attention_heads"),
        ({"image_size": 4}, "less than patch_size"),
        ({"hidden_act": "relu"}, "hidden_act"),
    ],
)
def test_encoders_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(MllamaVisionConfig, CONFIG["vision_config"] | change)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"do_pad": False}, "do_pad of false"),
        ({"size": {"height": 8, "width": 16}}, "takes 16 x 16"),
        ({"max_image_tiles": 2}, "max_image_tiles 2, but the encoder takes 4"),
    ],
)
def test_processors_that_are_refused(files: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        images(**files)
