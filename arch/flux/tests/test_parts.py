"""The parts of FLUX.1, each by itself, against transformers and by their formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_flux.config import FluxConfig, ScheduleConfig, T5Config, VaeConfig
from tramontane_arch_flux.latents import packed, turns, unpacked
from tramontane_arch_flux.schedule import sigmas
from tramontane_arch_flux.t5 import buckets

DEV = ScheduleConfig(shift=3.0, use_dynamic_shifting=True)


def test_buckets_of_distances_are_those_of_transformers() -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    apart = torch.arange(700)[None] - torch.arange(700)[:, None]
    theirs = T5Attention._relative_position_bucket(apart, True, 32, 128)
    assert torch.equal(buckets(700, 32, 128), theirs)


def test_sigmas_are_shifted_by_the_size_of_the_image() -> None:
    small, large = sigmas(DEV, 4, 256), sigmas(DEV, 4, 4096)
    by = torch.tensor([0.5, 1.15]).exp()
    even = torch.tensor([1.0, 0.75, 0.5, 0.25])
    for found, e in zip((small, large), by, strict=True):
        torch.testing.assert_close(found[:-1], e / (e + 1 / even - 1))
        assert found[-1] == 0
    assert sigmas(ScheduleConfig(), 4, 256).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(("strength", "left"), [(1.0, 10), (0.61, 7), (0.1, 1), (0.05, 1), (0, 0)])
def test_strength_says_how_many_steps_are_left(strength: float, left: int) -> None:
    assert len(sigmas(DEV, 10, 256, strength)) == left + 1


def test_packing_is_undone() -> None:
    latents = torch.randn(1, 4, 6, 10)
    rows = packed(latents)
    assert rows.shape == (15, 16)
    # channel, row, column of the first square
    assert torch.equal(rows[0], latents[0, :, :2, :2].flatten())
    assert torch.equal(unpacked(rows, 6, 10), latents)


def test_rows_of_texts_are_not_turned() -> None:
    by = turns(3, 2, 4, (4, 6, 6))
    assert by.shape == (3 + 8, 1, 8)
    assert torch.equal(by[:4], torch.ones(4, 1, 8, dtype=torch.complex64))  # and the first square
    assert torch.equal(by[3 + 4, 0, :2], torch.ones(2, dtype=torch.complex64))  # the first axis
    assert by[3 + 4, 0, 2].real == pytest.approx(torch.tensor(1.0).cos())  # one row further


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (FluxConfig, {"axes_dims_rope": [16, 56, 50]}, "attention_head_dim 128"),
        (FluxConfig, {"in_channels": 384, "out_channels": 64}, "fills in parts"),
        (FluxConfig, {"patch_size": 2}, "patch_size"),
        (T5Config, {"feed_forward_proj": "relu"}, "gated-gelu"),
        (VaeConfig, {"block_out_channels": [100]}, "norm_num_groups 32"),
        (VaeConfig, {"scaling_factor": 0}, "makes no latents"),
        (ScheduleConfig, {"use_karras_sigmas": True}, "use_karras_sigmas"),
        (ScheduleConfig, {"shift_terminal": 0.02}, "shift_terminal"),
        (ScheduleConfig, {"max_image_seq_len": 256}, "more than base_image_seq_len"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(
    kind: Any, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(kind, values)
