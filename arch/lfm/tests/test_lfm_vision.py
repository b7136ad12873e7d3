"""Images of LFM2-VL: sizes, tiles, what stands for them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.config.decoder import OUTSIDE
from tramontane.errors import ConfigError
from tramontane.media.grids import closest
from tramontane_arch_lfm.images import LfmImages
from tramontane_arch_lfm.plugin import TINY
from tramontane_arch_lfm.vision import WEIGHTS, LfmVisionConfig, NaflexConfig, NaflexEmbeddings

SMALL: dict[str, Any] = {"vision_config": {"num_patches": 16}}
CONFIG: dict[str, Any] = TINY | SMALL


def images(**files: Any) -> LfmImages:
    return LfmImages(read_config(LfmVisionConfig, CONFIG), files)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 512), (512, 512)),
        ((1, 1), (256, 256)),
        ((300, 400), (288, 384)),
        ((3000, 4000), (416, 576)),
        ((16, 900), (64, 1920)),
        ((48, 2000), (64, 1984)),  # a half goes to the even number
    ],
)
def test_the_whole_is_resized_to_squares_of_two_patches(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert images().size_of(*size) == expected


@pytest.mark.parametrize(
    ("size", "grid"),
    [((3000, 4000), (2, 3)), ((1000, 1000), (2, 2)), ((2000, 2000), (3, 3)), ((600, 6000), (1, 10)),
     ((1500, 500), (3, 1))],
)  # fmt: skip
def test_large_images_are_cut_into_tiles(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert images().is_large(*size)
    assert closest(*size, images().grids, images().tile) == list(grid)
    assert not images().is_large(512, 1024)


def test_what_stands_for_an_image() -> None:
    small = images(tile_size=64, min_image_tokens=1, max_image_tokens=4, max_tiles=4)
    item = small.prepare(np.zeros((60, 60, 3), np.uint8))
    assert small.written(item) == f"<|image_start|>{'<image>' * 4}<|image_end|>"
    item = small.prepare(np.zeros((90, 150, 3), np.uint8))
    four = "<image>" * 4
    assert small.written(item) == (
        f"<|image_start|><|img_row_1_col_1|>{four}<|img_row_1_col_2|>{four}<|img_thumbnail|>"
        "<image><image><|image_end|>"
    )
    assert item.rows == 10
    assert item.arrays["whole"].shape == (3, 32, 64)
    plain = images(
        tile_size=64, max_image_tokens=4, max_tiles=4, use_thumbnail=False,
        use_image_special_tokens=False,
    )  # fmt: skip
    item = plain.prepare(np.zeros((90, 150, 3), np.uint8))
    assert plain.written(item) == "<image>" * 8


def test_null_is_what_is_not_said() -> None:
    assert images(do_normalize=None, tile_size=None, max_tiles=None).tile == 512


def test_an_extreme_image_is_refused() -> None:
    with pytest.raises(ValueError, match="60000 x 100 pixels is too long: it would be 12512 x 32"):
        images().prepare(np.zeros((100, 60000, 3), np.uint8))


def test_positions_are_resized_to_the_image() -> None:
    embeddings = NaflexEmbeddings(NaflexConfig(num_patches=4, hidden_size=12))
    for parameter in embeddings.parameters():
        parameter.data.zero_()
    embeddings.position_embedding.weight[:, 0] = torch.tensor([0.0, 1.0, 4.0, 5.0])
    found = embeddings(torch.zeros(3, 32, 64))[:, 0].reshape(2, 4)
    torch.testing.assert_close(found, torch.tensor([[0, 0.25, 0.75, 1], [4, 4.25, 4.75, 5]]))


def test_a_pixels_channels_lie_together() -> None:
    embeddings = NaflexEmbeddings(NaflexConfig(num_patches=1, patch_size=2, hidden_size=12))
    embeddings.patch_embedding.weight.data = torch.eye(12)
    embeddings.patch_embedding.bias.data.zero_()  # type: ignore[union-attr]
    embeddings.position_embedding.weight.data.zero_()
    pixels = torch.arange(12.0).reshape(3, 2, 2)
    assert embeddings(pixels)[0].tolist() == pixels.permute(1, 2, 0).flatten().tolist()


@pytest.mark.parametrize(
    ("whole", "text", "tied"),
    [
        ({}, {}, True),
        ({}, {"tie_word_embeddings": False}, True),
        ({}, {"tie_embedding": False}, True),
        ({"tie_word_embeddings": False}, {}, False),
        ({"tie_word_embeddings": False}, {"tie_word_embeddings": True}, False),
        ({"tie_embedding": False, "tie_word_embeddings": True}, {"tie_embedding": True}, False),
    ],
)
def test_the_whole_says_whether_the_head_is_tied(
    whole: dict[str, Any], text: dict[str, Any], tied: bool
) -> None:
    outside = {name: whole[name] for name in text if name in whole}
    flat = SMALL | whole | TINY | text | {"text_config": TINY | text, OUTSIDE: outside}
    assert read_config(LfmVisionConfig, flat).tie_word_embeddings is tied


@pytest.mark.parametrize("outer", ["model.", ""])
@pytest.mark.parametrize("level", ["", "vision_model."])
def test_levels_of_names(outer: str, level: str) -> None:
    told = {
        f"vision_tower.{level}encoder.layers.0.self_attn.out_proj":
            "vision_tower.encoder.layers.0.self_attn.out_proj",
        "multi_modal_projector.linear_1": "multi_modal_projector.linear_1",
    }  # fmt: skip
    for theirs, ours in told.items():
        assert [name for name, *_ in follow(outer + theirs, "weight", WEIGHTS["hf"])] == [ours]
    text = "layers.1.self_attn.out_proj"
    language = "model.language_model." if outer else "language_model.model."
    found = follow(language + text, "weight", WEIGHTS["hf"])
    assert [name for name, *_ in found] == ["model.layers.1.self_attn.o_proj"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vision_config": {"num_patches": 15}}, "num_patches 15 is no square"),
        ({"vision_config": {"model_type": "siglip_vision_model"}}, "model_type"),
        ({"projector_hidden_act": "relu"}, "projector_hidden_act"),
        ({"text_config": {"model_type": "lfm2_moe"}}, "model_type 'lfm2_moe'"),
    ],
)
def test_configurations_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(LfmVisionConfig, CONFIG | change)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"do_rescale": False}, "do_rescale of false"),
        ({"encoder_patch_size": 14}, "encoder_patch_size 14 is not the model's, 16"),
        ({"downsample_factor": 4}, "downsample_factor 4 is not the model's, 2"),
        ({"tile_size": 500}, "tile_size 500 is no multiple of 32 pixels"),
        ({"min_tiles": 5, "max_tiles": 3}, "min_tiles 5 is more than max_tiles 3"),
    ],
)
def test_processors_that_are_refused(files: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        images(**files)
