"""Squares of images, marks with and without numbers, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_phi.plugin import SEEING, TINY
from tramontane_arch_phi.squares import Squares
from tramontane_arch_phi.vision import Phi3VisionConfig


def squares(crops: int = 4, **more: Any) -> Squares:
    return Squares(read_config(Phi3VisionConfig, TINY | SEEING), {"num_crops": crops} | more)


def test_the_published_sizes() -> None:
    """Phi-3.5 vision's num_crops is 4, Phi-3 vision's 16; the encoder is not in config.json."""
    published = {name: SEEING[name] for name in ("embd_layer",)} | {
        "img_processor": {"image_dim_out": 1024, "name": "clip_vision_model", "num_img_tokens": 144,
                          "model_name": "openai/clip-vit-large-patch14-336"},
    }  # fmt: skip
    cfg = read_config(Phi3VisionConfig, published)
    assert (cfg.feature, cfg.lines, cfg.hidden_size, cfg.vocab_size) == (23, 12, 3072, 32064)
    for crops, grid, rows in ((4, (2, 2), 757), (16, (3, 5), 2353)):
        images = Squares(cfg, {"num_crops": crops, "num_img_tokens": 144})
        item = images.prepare(np.zeros((480, 800, 3), np.uint8))
        assert (tuple(item.arrays["grid"]), item.rows) == (grid, rows)


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [(16, 16, (2, 2)), (5, 30, (1, 4)), (30, 5, (4, 1)), (31, 32, (2, 2)), (1, 1, (2, 2))],
)
def test_an_image_is_in_the_middle_of_white(height: int, width: int, grid: tuple[int, int]) -> None:
    item = squares().prepare(np.zeros((height, width, 3), np.uint8))
    assert tuple(item.arrays["grid"]) == grid
    assert item.arrays["pixels"].shape == (1 + grid[0] * grid[1], 3, 16, 16)
    assert item.rows == grid[0] * (grid[1] + 1) + 3
    white = item.arrays["pixels"][1:].max()
    assert (white > 0) == (height != width)


def test_marks_may_have_numbers() -> None:
    images = squares()
    assert images.rendered("a<|image|>b") == "a<|image|>b"
    told = "<|image|>\n<|image|>\n<|image_1|> or <|image_2|>?"
    assert images.rendered(told) == "<|image|> or <|image|>?"
    with pytest.raises(ValueError, match="marks of the images 2, 1"):
        images.rendered("<|image_2|><|image_1|>")
    assert images.assembled(["<s>a", "\nb"], ["III"]) == "<s>aIII<s>\nb"


def test_an_image_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="65 x 1 pixels is too long for squares of 16: crop it"):
        squares().prepare(np.zeros((1, 65, 3), np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        {"embd_layer": "default"},
        {"embd_layer": SEEING["embd_layer"] | {"hd_transform_order": "glb_sub"}},
        {"embd_layer": SEEING["embd_layer"] | {"use_hd_transform": False}},
        {"img_processor": {"type_feature": "cls_patch"}},
        {"img_processor": {"layer_idx": -5}},
        {"img_processor": {"image_dim_out": 1024}},
        {"vision_config": SEEING["vision_config"] | {"image_size": 24}},
    ],
    ids=str,
)
def test_configurations_that_are_refused(change: dict[str, Any]) -> None:
    (value,) = change.values()
    name = next(iter(change))
    said = "squares of 24" if name == "vision_config" else (
        name if isinstance(value, str) else next(
            key for key in value if value.get(key) != SEEING[name].get(key)
        )
    )  # fmt: skip
    with pytest.raises(ConfigError, match=said):
        read_config(Phi3VisionConfig, TINY | SEEING | change)


@pytest.mark.parametrize("change", [{"num_crops": -1}, {"num_img_tokens": 144}], ids=str)
def test_processors_that_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        squares(**{"crops": 4} | change)
