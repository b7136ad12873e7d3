"""The feed-forward half of a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig


class GatedMLP(nn.Module):
    """down(act(gate(x)) * up(x)) (Shazeer 2020, GLU variants), (tokens, hidden) -> (tokens,
    hidden).

    act: any shape -> the same shape. glu: what becomes of gate(x) and up(x), such as
    `ClampedSwiGLU`; None: act of the first times the second. bias: of all three. wide: rows of
    gate_proj and up_proj; None: intermediate_size. Tensors: gate_proj and up_proj (wide, hidden),
    down_proj (hidden, wide).
    """

    def __init__(
        self,
        cfg: DecoderConfig,
        *,
        act: Callable[[Tensor], Tensor] = F.silu,
        glu: Callable[[Tensor, Tensor], Tensor] | None = None,
        bias: bool = False,
        wide: int | None = None,
    ) -> None:
        super().__init__()
        hidden, wide = cfg.hidden_size, wide or cfg.intermediate_size
        self.act, self.glu = act, glu
        self.gate_proj = Linear(hidden, wide, bias=bias, split="column")
        self.up_proj = Linear(hidden, wide, bias=bias, split="column")
        self.down_proj = Linear(wide, hidden, bias=bias, split="row")

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_proj(x), self.up_proj(x)
        both = self.act(gate) * up if self.glu is None else self.glu(gate, up)
        out: Tensor = self.down_proj(both)
        return out


class MLP(nn.Module):
    """down(act(up(x))), without a gate, (tokens, hidden) -> (tokens, hidden).

    wide: rows of up_proj; None: intermediate_size. Tensors: up_proj (wide, hidden), down_proj
    (hidden, wide).
    """

    def __init__(
        self,
        cfg: DecoderConfig,
        *,
        act: Callable[[Tensor], Tensor],
        bias: bool = True,
        wide: int | None = None,
    ) -> None:
        super().__init__()
        hidden, wide = cfg.hidden_size, wide or cfg.intermediate_size
        self.act = act
        self.up_proj = Linear(hidden, wide, bias=bias, split="column")
        self.down_proj = Linear(wide, hidden, bias=bias, split="row")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(self.act(self.up_proj(x)))
        return out
