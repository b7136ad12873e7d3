"""How DeepSeek's tensors become the model's: rotated rows in halves, keys and values apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from tramontane.checkpoint.rules import (
    PACKED_EXPERTS,
    Kept,
    Rename,
    Rule,
    Skip,
    Split,
    Stack,
    in_halves,
    owner,
    sibling,
)
from tramontane.layouts import Dense, Layout

from .model import DeepseekV2Config


@dataclass(frozen=True)
class TurnedRows(Kept):
    """The last rows of each head, which are rotated by adjacent pairs, put into halves."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        attention: Any = owner(model, path)
        shared = path.endswith("kv_a_proj_with_mqa")
        d_head = layout.shape[0] if shared else int(attention.d_head)
        still = d_head - int(attention.turned)
        order = torch.cat((torch.arange(still), still + in_halves(attention.turned)))
        heads = torch.arange(layout.shape[0] // d_head)[:, None] * d_head
        return layout.rows((heads + order).flatten())


@dataclass(frozen=True)
class KeysAndValues(Kept):
    """What makes keys and values of latents, of each head first the one and then the other.

    Keys' matrices are applied to queries instead, and so stand the other way round.
    """

    pattern: str = "*.kv_b_proj"

    def paths(self, path: str) -> tuple[str, ...]:
        return sibling(path, "k_b_proj"), sibling(path, "v_b_proj")

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        attention: Any = owner(model, path)
        nope, both = attention.nope, attention.nope + attention.v_dim
        heads = torch.arange(attention.heads)[:, None] * both
        if layout.shape[0] != attention.heads * both:
            raise ValueError(f"{attention.heads} heads of {both} rows are wanted")
        if path.endswith("v_b_proj"):
            return layout.rows((heads + torch.arange(nope, both)).flatten())
        rows = layout.rows((heads + torch.arange(nope)).flatten())
        plain = rows.data if isinstance(rows, Dense) else rows.decode()
        return Dense(plain.unflatten(0, (-1, nope)).mT.flatten(0, 1))

    def backwards(
        self, shapes: dict[str, tuple[int, ...]], model: nn.Module
    ) -> dict[str, tuple[int, ...]]:
        """The tensors before, for the conformance kit."""
        before: dict[str, tuple[int, ...]] = {}
        for name, shape in shapes.items():
            if name.endswith("v_b_proj.weight"):
                attention: Any = owner(model, name.removesuffix(".weight"))
                rows = attention.heads * (attention.nope + attention.v_dim)
                before[name.replace("v_b_proj", "kv_b_proj")] = (rows, shape[1])
            elif not name.endswith("k_b_proj.weight"):
                before[name] = shape
        return before


def weights(cfg: DeepseekV2Config) -> dict[str, list[Rule]]:
    depth = cfg.num_hidden_layers
    latent: list[Rule] = [KeysAndValues()]
    if cfg.rope_interleave:
        latent += [
            TurnedRows("*.self_attn.q_proj"),
            TurnedRows("*.self_attn.q_b_proj"),
            TurnedRows("*.self_attn.kv_a_proj_with_mqa"),
        ]
    return {
        "hf": [
            Skip("*.rotary_emb"),
            # layers that guess further tokens
            *(Skip(f"model.layers.{depth + ahead}.*") for ahead in range(4)),
            Rename("*.mlp.gate.e_score_correction_bias", "*.mlp.gate.balance"),
            *PACKED_EXPERTS,
            Stack("*.experts.{}.gate_proj"),
            Stack("*.experts.{}.down_proj"),
            Stack("*.experts.{}.up_proj"),
            *latent,
        ],
        "gguf": [
            *(Skip(f"*.{depth + ahead}.*") for ahead in range(4)),
            Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
            Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
            Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
            *latent,
        ],
    }
