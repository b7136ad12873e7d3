"""Idefics2's images: sizes, quarters, the text around them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_idefics.idefics2 import Idefics2Config
from tramontane_arch_idefics.plugin import PERCEIVER, TINY
from tramontane_arch_idefics.quarters import Quarters

EXAMPLE = TINY | {"perceiver_config": PERCEIVER}
FAKE = "<fake_token_around_image>"


def quarters(**files: Any) -> Quarters:
    return Quarters(read_config(Idefics2Config, EXAMPLE), files)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (100, 200, (378, 378)),
        (500, 2000, (378, 980)),
        (2000, 1500, (980, 735)),
        (980, 979, (980, 979)),
    ],
)
def test_sides_are_kept_within_the_edges(height: int, width: int, size: tuple[int, int]) -> None:
    assert quarters().size_of(height, width) == size
    assert quarters(size={"height": 7, "width": 9}).size_of(height, width) == (7, 9)


def test_quarters_come_before_the_whole() -> None:
    edges = {"shortest_edge": 4, "longest_edge": 20}
    item = quarters(size=edges, do_image_splitting=True).prepare(np.zeros((9, 15, 3), np.uint8))
    shapes = [array.shape[1:] for array in item.arrays.values()]
    assert shapes == [(4, 7), (4, 8), (5, 7), (5, 8), (9, 15)]
    assert item.rows == 15
    with pytest.raises(ValueError, match="9 x 1 pixels cannot be split"):
        quarters(size=edges, do_image_splitting=True).prepare(np.zeros((1, 9, 3), np.uint8))


def test_neighbours_share_a_token_and_words_keep_their_distance() -> None:
    images = quarters(size={"shortest_edge": 4, "longest_edge": 20})
    written = images.written(images.prepare(np.zeros((9, 15, 3), np.uint8)))
    assert written == f"{FAKE}<image><image><image>{FAKE}"
    shown = "<image>" * 3
    text = images.assembled(["a", "", "b", "\n"], [written] * 3)
    assert text == f"a{FAKE}{shown}{FAKE}{shown}{FAKE} b{FAKE}{shown}{FAKE}\n"


def test_norms_of_a_perceiver_of_another_width_are_the_text_s() -> None:
    assert read_config(Idefics2Config, EXAMPLE | {"rms_norm_eps": 1e-3}).perceiver_eps == 1e-6
    other = EXAMPLE | {"perceiver_config": PERCEIVER | {"hidden_size": 48}, "rms_norm_eps": 1e-3}
    assert read_config(Idefics2Config, other).perceiver_eps == 1e-3
    silent = read_config(Idefics2Config, {})
    assert (silent.rms_norm_eps, silent.max_position_embeddings) == (1e-5, 32_768)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text_config": {"model_type": "llama"}}, "model_type 'llama'"),
        ({"perceiver_config": PERCEIVER | {"num_key_value_heads": 3}}, "resampler_n_heads 4"),
        ({"perceiver_config": PERCEIVER | {"hidden_act": "mish"}}, "hidden_act 'mish'"),
    ],
)
def test_configurations_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(Idefics2Config, EXAMPLE | change)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"do_resize": False}, "do_resize of false"),
        ({"size": {"longest_edge": 8}}, "neither shortest_edge and longest_edge"),
        ({"size": {"height": 3, "width": 8}}, "smaller than a patch of 4"),
        ({"image_seq_len": 64}, "image_seq_len 64, but the model gives 3"),
    ],
)
def test_processors_that_are_refused(files: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        quarters(**files)
