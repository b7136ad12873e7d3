"""Tiles of images, and configurations that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tramontane.blocks.buckets import BucketEmbeddings
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_idefics.model import Idefics3Config
from tramontane_arch_idefics.plugin import TINY
from tramontane_arch_idefics.tiles import Tiles

FILES = {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 16}}


def tiles(**more: Any) -> Tiles:
    return Tiles(read_config(Idefics3Config, TINY), FILES | more)


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [(70, 131, (2, 2)), (131, 40, (2, 1)), (33, 33, (2, 2)), (3, 200, (1, 2)), (16, 16, (2, 2))],
)
def test_an_image_is_cut_into_tiles_and_shown_whole(
    height: int, width: int, grid: tuple[int, int]
) -> None:
    item = tiles().prepare(np.zeros((height, width, 3), np.uint8))
    assert tuple(item.arrays["grid"]) == grid
    count = grid[0] * grid[1] + 1
    assert item.arrays["tiles"].shape == (count, 3, 16, 16)
    assert item.rows == 4 * count
    assert tiles().written(item).count("<image>") == item.rows


def test_an_image_of_one_tile_is_the_whole_alone() -> None:
    one = tiles(size={"longest_edge": 16})
    item = one.prepare(np.zeros((5, 9, 3), np.uint8))
    fake = "<fake_token_around_image>"
    assert one.written(item) == f"{fake}<global-img>{'<image>' * 4}{fake}"
    unsplit = tiles(do_image_splitting=False).prepare(np.zeros((50, 90, 3), np.uint8))
    assert unsplit.rows == 4


def test_positions_share_buckets() -> None:
    vision = TINY["vision_config"] | {"image_size": 25, "patch_size": 1}
    config = read_config(Idefics3Config, TINY | {"vision_config": vision, "scale_factor": 5})
    with torch.device("meta"):
        embeddings = BucketEmbeddings(config.vision_config)
    places = embeddings.places(25).tolist()
    moved = [index for index, place in enumerate(places) if place != index]
    assert moved == [5, 9, 10, 11, 12, 13, 15, 18, 20, 23]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scale_factor": 3}, "scale_factor 3 does not divide 4 x 4 patches"),
        ({"text_config": {"model_type": "mistral"}}, "model_type 'mistral'"),
        ({"hidden_act": "gelu"}, "hidden_act"),
    ],
)
def test_configurations_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(Idefics3Config, TINY | change)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"do_normalize": False}, "do_normalize of false"),
        ({"size": {"height": 8, "width": 8}}, "no longest_edge"),
        ({"max_image_size": {"longest_edge": 24}}, "tiles of max_image_size 24 do not fit"),
        ({"image_seq_len": 9}, "image_seq_len 9, but the model gives 4"),
    ],
)
def test_processors_that_are_refused(files: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tiles(**files)


@pytest.mark.parametrize(
    ("inside", "beside", "tied"), [(True, False, False), (False, True, True), (True, None, False)]
)
def test_what_stands_beside_text_config_ties(inside: bool, beside: bool | None, tied: bool) -> None:
    text = {"tie_word_embeddings": inside}
    outside = {} if beside is None else {"tie_word_embeddings": beside}
    values = TINY | text | {"text_config": text, "outside_text_config": outside}
    assert read_config(Idefics3Config, values).tie_word_embeddings is tied
