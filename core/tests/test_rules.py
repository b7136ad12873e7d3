"""Rules take tensors apart, put them together, and say by name what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from tramontane.blocks import Attention, Experts, HeadNorm, Linear, RMSNorm, StackedLinear, rope_for
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.rules import (
    PACKED_EXPERTS,
    Deinterleave,
    Flatten,
    Rename,
    Rule,
    Shift,
    Skip,
    Split,
    Stack,
    Transpose,
    follow,
    renamed,
)
from tramontane.checkpoint.weight_map import match
from tramontane.config import DecoderConfig, read_config
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Codebook, Dense, Layout, below, pack

PARTS = ("q_proj", "k_proj", "v_proj")
CONFIG = read_config(
    DecoderConfig,
    {
        "vocab_size": 8,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "partial_rotary_factor": 0.5,
    },
)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention(CONFIG, 0, rope=rope_for(CONFIG))
        self.experts = nn.Module()
        self.experts.up_proj = StackedLinear(3, 8, 4)
        self.experts.count = 3  # type: ignore[assignment]
        self.gate = Linear(8, 3)


def fill(tensors: dict[str, torch.Tensor], rules: list[Rule]) -> dict[str, Layout]:
    """What each place gets."""
    model = Model()
    about = {name: TensorInfo(tuple(t.shape), "F32", 4) for name, t in tensors.items()}
    header = Header(Path("file"), "safetensors", "hf", "Model", {}, about)
    sources = match(header, model, rules, {}, {})
    read: dict[str, Layout] = {name: Dense(tensor) for name, tensor in tensors.items()}
    return {path: source.make(read, model) for path, source in sources.items()}


def numbered(rows: int, columns: int = 8) -> torch.Tensor:
    """Each row holds its number."""
    return torch.arange(rows).float()[:, None].expand(rows, columns)


PLAIN = {
    "self_attn.o_proj.weight": numbered(8, 16),
    "experts.up_proj.weight": numbered(12),
    "gate.weight": numbered(3),
}


def rows_of(layout: Layout) -> list[float]:
    return layout.decode()[:, 0].tolist()


@pytest.mark.parametrize(
    ("per", "q", "k", "v"),
    [
        (None, range(16), range(16, 24), range(24, 32)),
        (
            "kv_heads",  # two groups of two queries, a key and a value, of four rows each
            [*range(8), *range(16, 24)],
            [*range(8, 12), *range(24, 28)],
            [*range(12, 16), *range(28, 32)],
        ),
    ],
)
def test_fused_matrices_are_taken_apart(per: str | None, q: range, k: range, v: range) -> None:
    fused = {**PLAIN, "self_attn.qkv.weight": numbered(32)}
    made = fill(fused, [Split("*.qkv", PARTS, per)])
    for part, rows in zip(PARTS, (q, k, v), strict=True):
        assert rows_of(made[f"self_attn.{part}.weight"]) == list(rows)


def test_experts_are_put_together_in_their_order() -> None:
    apart = {f"experts.{i}.up_proj.weight": numbered(4) + 10 * i for i in (2, 0, 1)}
    whole = {name: tensor for name, tensor in PLAIN.items() if "experts" not in name}
    attention = {
        f"self_attn.{part}.weight": numbered(16 if part == "q_proj" else 8) for part in PARTS
    }
    made = fill({**whole, **attention, **apart}, [Stack("experts.{}.up_proj")])
    assert rows_of(made["experts.up_proj.weight"]) == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]


def test_only_rows_that_rotate_are_put_into_halves() -> None:
    attention = {
        f"self_attn.{part}.weight": numbered(16 if part == "q_proj" else 8) for part in PARTS
    }
    made = fill({**PLAIN, **attention}, [Deinterleave("*.k_proj")])
    # of four rows a head, two rotate: they are in order either way
    assert rows_of(made["self_attn.k_proj.weight"]) == list(range(8))
    wide = Model()
    wide.self_attn.rope.dim = 4  # type: ignore[union-attr]
    layout = Deinterleave("*.k_proj").change(Dense(numbered(8)), "self_attn.k_proj", wide)
    assert rows_of(layout) == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"self_attn.qkv.weight": numbered(30)}, "q_proj and k_proj and v_proj have 32 rows"),
        ({"self_attn.qkv.weight": numbered(32, 4)}, "qkv.weight is .32, 4."),
        ({"self_attn.qkv.weight": numbered(32), "more.weight": numbered(1)}, "not used: more"),
        ({}, "missing: self_attn.q_proj.weight"),
    ],
)
def test_what_does_not_fit_is_named(missing: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        fill({**PLAIN, **missing}, [Split("*.qkv", PARTS)])


def test_an_expert_that_is_missing_shows() -> None:
    attention = {
        f"self_attn.{part}.weight": numbered(16 if part == "q_proj" else 8) for part in PARTS
    }
    whole = {name: tensor for name, tensor in PLAIN.items() if "experts" not in name}
    apart = {f"experts.{i}.up_proj.weight": numbered(4) for i in (0, 2)}
    with pytest.raises(CheckpointError, match=r"experts.0.up_proj.weight of 2 is \(4, 8\)"):
        fill({**whole, **attention, **apart}, [Stack("experts.{}.up_proj")])


def test_rules_follow_each_other() -> None:
    rules: list[Rule] = [
        Skip("*.h.*.mask"),
        Rename("old.*", "*"),
        Rename("h.*.attn.*_in", "layers.*.self_attn.*_proj"),
        Split("*.qkv_proj", PARTS),
    ]
    ends = follow("old.h.3.attn.qkv_in", "weight", rules)
    assert [path for path, _, _ in ends] == [f"layers.3.self_attn.{part}" for part in PARTS]
    assert follow("old.h.3", "mask", rules) == []  # a whole name, not the beginning of one
    assert follow("h.3.attn", "bias", [Rename("*.attn.bias", "*.attn.shift")])[0][:2] == (
        "h.3.attn",
        "shift",
    )


@pytest.mark.parametrize("name", ["gate_up_proj", "gate_up_proj.weight"])
def test_stacked_experts_may_have_weight_behind_their_names(name: str) -> None:
    path, _, last = f"mlp.experts.{name}".rpartition(".")
    ends = follow(path, last, PACKED_EXPERTS)
    found = [(to, end) for to, end, _ in ends]
    assert found == [(f"mlp.experts.{part}_proj", "weight") for part in ("gate", "up")]
    path, _, last = f"mlp.experts.{name.replace('gate_up', 'down')}".rpartition(".")
    assert follow(path, last, PACKED_EXPERTS)[0][:2] == ("mlp.experts.down_proj", "weight")


def test_stars_stand_for_the_same_in_their_order() -> None:
    assert renamed("a.1.b.2.c", "a.*.b.*.c", "x.*.y.*") == "x.1.y.2"
    assert renamed("plain", "plain", "other") == "other"


def test_numbers_that_are_changed() -> None:
    model = Model()
    assert Shift("*", 1.0).change(Dense(torch.zeros(3)), "norm", model).decode().tolist() == [1] * 3
    turned = Transpose("*").change(Dense(torch.ones(2, 5)), "gate", model)
    assert turned.shape == (5, 2)
    assert Transpose("*").change(Dense(torch.ones(4)), "gate", model).shape == (4,)


def test_experts_that_lie_the_other_way_with_gate_and_up_in_turns() -> None:
    model = nn.Module()
    model.experts = Experts(CONFIG, 3, 4, bias=True)
    rules: list[Rule] = [
        Transpose("experts.both", per="count"),
        Flatten("experts.both.bias"),
        Split("experts.both", ("gate_proj", "up_proj"), per="rows"),
    ]
    whole = torch.randn(3, 8, 8)  # experts, columns, rows
    bias = torch.randn(3, 8)
    for offset, part in enumerate(("gate_proj", "up_proj")):
        layouts = {"weight": Dense(whole.flatten(0, 1)), "bias": Dense(bias)}
        for last, layout in layouts.items():
            ((path, end, steps),) = [
                each for each in follow("experts.both", last, rules) if part in each[0]
            ]
            made: Layout = layout
            for step in steps:
                made = step.rule.change(made, step.path, model)
            theirs = whole.mT[:, offset::2] if end == "weight" else bias[:, offset::2]
            assert path == f"experts.{part}"
            assert torch.equal(made.decode(), theirs.flatten(0, 1))
    with pytest.raises(ValueError, match="8 rows are no multiple of 3 matrices"):
        rules[0].change(Dense(torch.ones(8, 2)), "experts.both", model)


def test_packed_matrices_below_each_other() -> None:
    codes = torch.randint(16, (4, 32))
    one = Affine(4, 32, pack(codes, 4), torch.rand(4, 1), zero=8)
    two = Affine(4, 32, pack(15 - codes, 4), torch.rand(4, 1), zero=8)
    joined = below([one, two])
    assert torch.equal(joined.decode(), torch.cat((one.decode(), two.decode())))
    with pytest.raises(ValueError, match="not stored alike"):
        below([one, Dense(torch.zeros(4, 32))])
    table = torch.randn(16)
    named = Codebook(4, 32, pack(codes, 4), table, torch.rand(4, 1))
    joined = below([named, named])
    assert torch.equal(joined.decode(), torch.cat((named.decode(), named.decode())))
    with pytest.raises(ValueError, match="tables of their own"):
        below([named, replace(named, table=table + 1)])


def test_norm_weights_along_a_head_move_as_the_rows_do() -> None:
    model = Model()
    attention: Attention = model.self_attn  # type: ignore[assignment]
    attention.rope.dim = 4  # type: ignore[union-attr]
    attention.q_norm = HeadNorm(4, 1e-5, heads=4)
    attention.k_norm = RMSNorm(4, 1e-5)
    by_head = torch.arange(16.0).view(4, 4)
    rule = Deinterleave("*_norm")
    moved = rule.change(Dense(by_head), "self_attn.q_norm", model)
    assert torch.equal(moved.decode(), by_head[:, [0, 2, 1, 3]])
    shared = rule.change(Dense(torch.arange(4.0)), "self_attn.k_norm", model)
    assert shared.decode().tolist() == [0, 2, 1, 3]
    shape_only = rule.change(Dense(by_head.to("meta")), "self_attn.q_norm", model)
    assert shape_only.shape == (4, 4)
    with pytest.raises(ValueError, match="6 rows are no multiple of d_head 4"):
        rule.change(Dense(numbered(6)), "self_attn.q_proj", model)
