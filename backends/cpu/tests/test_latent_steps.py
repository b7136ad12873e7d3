"""Latent attention within a recorded step: as the reference computes it, in any company."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from tramontane.blocks import CausalLM, LatentAttention
from tramontane.blocks.rope import Rope
from tramontane.plugin import Architecture
from tramontane.testing.forward_passes import in_pieces, together, whole
from tramontane.testing.tiny_model import TINY, Tiny, TinyLayer, tiny_model
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import prepare

PROMPTS = [[(7 * i + 3) % 320 for i in range(length)] for length in (1, 33, 8)]


@dataclass(frozen=True)
class Sizes:
    q_lora_rank: int | None
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


WHOLE = Sizes(64, 128, 64, 32, 64)
"""Groups of codes fill them."""
ODD = Sizes(None, 21, 13, 6, 11)
"""Nothing fills a register."""


class Latent(TinyLayer):
    sizes = WHOLE
    rotated = True

    def __init__(self, cfg, index) -> None:  # type: ignore[no-untyped-def]
        super().__init__(cfg, index)
        rope = Rope(self.sizes.qk_rope_head_dim, 10_000.0) if self.rotated else None
        self.self_attn = LatentAttention(cfg, self.sizes, index, rope=rope, scale=0.1)


class LatentOdd(Latent):
    sizes = ODD


class LatentUnturned(Latent):
    rotated = False


class TinyWhole(Tiny):
    Layer = Latent


class TinyOdd(Tiny):
    Layer = LatentOdd


class TinyUnturned(Tiny):
    Layer = LatentUnturned


def made(kind: type[Tiny], layout: str) -> CausalLM:
    fields = {"name": kind.__name__, "model": f"{__name__}:{kind.__name__}"}
    offer = Architecture(**{**vars(TINY), **fields})
    return tiny_model(layout, offer)


def check(kind: type[Tiny], layout: str, step: str = "recorded") -> None:
    recorded, reference = made(kind, layout), made(kind, layout)
    assert step in prepare(recorded, probe()[0], 2, "f32")["step"]
    alone = [whole(recorded, prompt) for prompt in PROMPTS]
    for prompt, got, beside in zip(PROMPTS, alone, together(recorded, PROMPTS), strict=True):
        expected = whole(reference, prompt)
        assert float((got - expected).norm() / expected.norm()) < 1e-4
        assert torch.equal(beside, got), "the same bits beside others"
    assert torch.equal(in_pieces(recorded, PROMPTS[1], [5, 1, 1, 26]), alone[1])


@pytest.mark.parametrize("layout", ["bfloat16", "affine4", "affine4-permuted"])
def test_matrices_of_heads_in_layouts_of_every_kind(layout: str) -> None:
    check(TinyWhole, layout)


def test_matrices_whose_rows_are_in_groups_run_as_written() -> None:
    check(TinyWhole, "affine4-row-groups", "eager: a matrix of affine4/row-groups")


@pytest.mark.parametrize("kind", [TinyOdd, TinyUnturned])
def test_sizes_that_fill_no_register_and_no_rotation(kind: type[Tiny]) -> None:
    check(kind, "float32")
