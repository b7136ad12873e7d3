"""Images of Llama 4: canvases, bfloat16 pixels, what stands for them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_llama.llama4_images import Llama4Images, grids, processor
from tramontane_arch_llama.llama4_tower import angles
from tramontane_arch_llama.llama4_vision import Llama4Vision, Llama4VisionConfig, weights
from tramontane_arch_llama.plugin import CHUNKS, TINY, UNFOLDED

SMALL: dict[str, Any] = TINY | CHUNKS
CONFIG = SMALL | {"vision_config": UNFOLDED}
SCOUT = {
    "hidden_size": 1408, "image_size": 336, "intermediate_size": 5632, "num_attention_heads": 16,
    "num_hidden_layers": 34, "patch_size": 14, "pixel_shuffle_ratio": 0.5, "norm_eps": 1e-5,
    "projector_input_dim": 4096, "projector_output_dim": 4096, "vision_output_dim": 4096,
    "rope_theta": 10000, "hidden_act": "gelu", "multi_modal_projector_bias": False,
    "model_type": "llama4_vision_model", "vision_feature_select_strategy": "default",
}  # fmt: skip
"""As published."""


def config(**change: Any) -> Llama4VisionConfig:
    return read_config(Llama4VisionConfig, SMALL | {"vision_config": UNFOLDED | change})


def images(**more: Any) -> Llama4Images:
    return Llama4Images(config(), more)


def test_a_published_encoder() -> None:
    cfg = read_config(Llama4VisionConfig, SMALL | {"vision_config": SCOUT})
    assert cfg.vision_config is not None
    assert (cfg.vision_config.side, cfg.vision_config.rows) == (24, 144)


def test_canvases_are_all_grids_of_so_many_tiles() -> None:
    assert sorted(map(tuple, grids(4))) == [
        (1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (3, 1), (4, 1),
    ]  # fmt: skip
    assert len(grids(16)) == 50


@pytest.mark.parametrize(
    ("size", "grid", "resized"),
    [
        ((336, 336), (1, 1), (336, 336)),
        ((70, 131), (1, 1), (179, 336)),
        ((1, 1), (1, 1), (336, 336)),
        ((500, 700), (2, 3), (500, 700)),
        ((1200, 300), (4, 1), (1200, 300)),
        ((3000, 4000), (3, 4), (1008, 1344)),
        ((2, 6000), (1, 16), (1, 5376)),
        ((57, 43), (1, 1), (336, 253)),
    ],
)
def test_an_image_is_fitted_into_a_canvas(
    size: tuple[int, int], grid: tuple[int, int], resized: tuple[int, int]
) -> None:
    found = images()
    assert found.grid_of(*size) == grid
    assert found.size_of(size, (grid[0] * 336, grid[1] * 336)) == resized


def test_the_largest_canvas_where_it_is_asked_for() -> None:
    assert images(resize_to_max_canvas=True).grid_of(100, 100) == (4, 4)
    assert images(resize_to_max_canvas=True, max_patches=3).grid_of(100, 200) == (1, 2)


def test_pixels_are_numbers_of_bfloat16_and_what_is_empty_is_black() -> None:
    tile = images().prepare(np.full((168, 336, 3), 200, np.uint8)).arrays["tiles"][0]
    values = torch.from_numpy(tile)
    assert torch.equal(values, values.bfloat16().float())
    assert (values[:, 168:] == -1).all()
    step = (torch.tensor(200).bfloat16() * (1 / 255) - 0.5) / 0.5
    assert (values[:, :168] == step.float()).all()


def test_what_stands_for_an_image() -> None:
    one = images(max_patches=1)
    item = one.prepare(np.zeros((10, 20, 3), np.uint8))
    patches = "<|patch|>" * 4
    assert one.written(item) == f"<|image_start|><|image|>{patches}<|image_end|>"
    more = images(max_patches=4)
    item = more.prepare(np.zeros((650, 600, 3), np.uint8))
    row = f"{patches}<|tile_x_separator|>{patches}<|tile_y_separator|>"
    assert more.written(item) == f"<|image_start|>{row}{row}<|image|>{patches}<|image_end|>"
    assert item.rows == 20
    assert item.arrays["tiles"].shape == (5, 3, 336, 336)


def test_patches_turn_by_their_column_and_row_from_one_on_and_the_class_does_not() -> None:
    cfg = config(hidden_size=16, num_attention_heads=2).vision_config
    assert cfg is not None
    cos, sin = angles(cfg, torch.device("cpu"))  # 4 x 4 patches, heads of 8 numbers
    found = torch.atan2(sin, cos)[:, 0]
    assert found.shape == (17, 4)
    assert (found[-1] == 0).all()
    wanted = torch.tensor([3.0, 0.03, 2.0, 0.02])
    torch.testing.assert_close(found[6], wanted)  # the second row's third


def test_without_an_encoder_it_is_the_language_model_alone() -> None:
    cfg = read_config(Llama4VisionConfig, SMALL)
    assert processor(cfg, {}) is None
    with torch.device("meta"):
        model = Llama4Vision(cfg)
    assert not hasattr(model, "vision_model")
    assert follow("vision_model.patch_embedding.linear", "weight", weights(cfg)["hf"]) == []


@pytest.mark.parametrize("outer", ["", "model."])
def test_levels_of_names(outer: str) -> None:
    rules = weights(read_config(Llama4VisionConfig, CONFIG))["hf"]
    for part, ours in (
        ("vision_model.patch_embedding.linear", "vision_model.patch_embedding.linear"),
        ("multi_modal_projector.linear_1", "multi_modal_projector.linear_1"),
        ("vision_model.model.layers.0.self_attn.q_proj",
         "vision_model.model.layers.0.self_attn.q_proj"),
    ):  # fmt: skip
        assert [found for found, *_ in follow(outer + part, "weight", rules)] == [ours]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pixel_shuffle_ratio": 0.4}, "pixel_shuffle_ratio 0.4 does not join 4 x 4"),
        ({"pixel_shuffle_ratio": 1 / 3}, "does not join 4 x 4"),
        ({"hidden_size": 12}, "hidden_size 12"),
        ({"intermediate_size": 60}, "intermediate_size 60 is not 64"),
        ({"projector_output_dim": 32}, "projector_output_dim 32 is not 24"),
        ({"vision_output_dim": 32}, "vision_output_dim 32 is not 24"),
        ({"hidden_act": "silu"}, "hidden_act"),
        ({"multi_modal_projector_bias": True}, "multi_modal_projector_bias"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type"),
    ],
)
def test_encoders_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**change)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"do_normalize": False}, "do_normalize of false"),
        ({"size": {"height": 336, "width": 448}}, "do not fit an encoder of 336 x 336"),
        ({"size": {"shortest_edge": 336}}, "do not fit"),
        ({"patch_size": 14}, "patch_size 14 is not the encoder's, 84"),
        ({"pixel_shuffle_ratio": 0.25}, "pixel_shuffle_ratio 0.25 is not the encoder's, 0.5"),
    ],
)
def test_processors_that_are_refused(files: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        images(**files)
