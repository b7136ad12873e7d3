"""A mixture of experts: each token goes through few of many feed-forward halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tramontane.errors import ConfigError

from .mlp import GatedMLP
from .routing import BiasedRouter, Router
from .stacked import StackedLinear

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig


class Experts(nn.Module):
    """`count` gated feed-forward halves (see `GatedMLP`) of `wide` rows, their matrices stacked.

    act, glu: as there. bias: of all three, (count * wide) and (count * hidden). gated: False for
    halves without a gate, down(act(up(x))), as of `MLP`. hidden: the size of their vectors; None:
    hidden_size. Tensors: gate_proj and up_proj (count * wide, hidden), down_proj (count * hidden,
    wide). Use `Stack` rules for checkpoints with a tensor for each expert, `PACKED_EXPERTS` for
    stacked ones.
    """

    joint: Callable[[Tensor], Tensor] | None = None
    """Of what a rank's parts of all experts give (tokens, hidden), as in `Linear`."""

    def __init__(
        self,
        cfg: DecoderConfig,
        count: int,
        wide: int,
        *,
        act: Callable[[Tensor], Tensor] = F.silu,
        glu: Callable[[Tensor, Tensor], Tensor] | None = None,
        bias: bool = False,
        gated: bool = True,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        hidden = hidden or cfg.hidden_size
        self.count, self.act, self.glu = count, act, glu
        self.rows = count * wide
        """Of gate_proj, and of up_proj; `Split(..., per="rows")` for where they alternate."""
        self.gate_proj: StackedLinear | None = None
        if gated:
            self.gate_proj = StackedLinear(count, hidden, wide, bias=bias, split="column")
        self.up_proj = StackedLinear(count, hidden, wide, bias=bias, split="column")
        self.down_proj = StackedLinear(count, wide, hidden, bias=bias, split="row")

    @property
    def first(self) -> tuple[StackedLinear, ...]:
        """What reads an expert's vectors: gate_proj and up_proj, or up_proj alone."""
        return (self.up_proj,) if self.gate_proj is None else (self.gate_proj, self.up_proj)

    @property
    def matrices(self) -> tuple[StackedLinear, ...]:
        """All that an expert has, in the order of its computation."""
        return (*self.first, self.down_proj)

    def forward(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """x: (tokens, hidden). weights: (tokens, k). chosen: (tokens, k) int64, the experts'
        numbers -> (tokens, hidden).

        Rows are sorted by expert, so that each expert's matrices are read once at most.
        """
        k = chosen.shape[1]
        order = chosen.flatten().argsort(stable=True)
        counts = chosen.flatten().bincount(minlength=self.count)
        out = self.through(x[order // k], counts)
        # back in the order of tokens, where each token's sum is its own
        back = out.new_empty(out.shape)
        back[order] = out
        weighted: Tensor = back.unflatten(0, (-1, k)) * weights.to(x.dtype)[..., None]
        out = weighted.sum(1)
        return out if self.joint is None else self.joint(out)

    def through(self, x: Tensor, counts: Tensor) -> Tensor:
        """x: (rows, hidden), sorted by expert; counts: (count) rows of each -> (rows, hidden). A
        backend may replace it by a kernel."""
        up = self.up_proj(x, counts)
        if self.gate_proj is None:
            both = self.act(up)
        else:
            gate = self.gate_proj(x, counts)
            both = self.act(gate) * up if self.glu is None else self.glu(gate, up)
        out: Tensor = self.down_proj(both, counts)
        return out


class SparseMoE(nn.Module):
    """The weighted sum of the experts that `gate` chooses, plus `shared_experts`, which every token
    passes through; (tokens, hidden) -> (tokens, hidden).

    gate: (tokens, hidden) -> weights and experts' numbers, (tokens, k) each. shared_experts: a
    module (tokens, hidden) -> (tokens, hidden), or None.
    """

    def __init__(self, gate: Router, experts: Experts, shared_experts: nn.Module | None = None):
        super().__init__()
        self.gate, self.experts, self.shared_experts = gate, experts, shared_experts

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.experts(x, *self.gate(x))
        return out if self.shared_experts is None else out + self.shared_experts(x)


class WeighedInputMoE(SparseMoE):
    """The one expert with the best score, of x times that score's sigmoid, plus `shared_experts` of
    x itself (Llama 4); (tokens, hidden) -> (tokens, hidden).

    Tensors: as `SparseMoE`. Raises ConfigError for a router that chooses more than one.
    """

    def __init__(self, gate: Router, experts: Experts, shared_experts: nn.Module | None = None):
        if gate.k != 1 or not gate.normalize:
            raise ConfigError(
                f"num_experts_per_tok {gate.k}: one expert is chosen where its input is weighed"
            )
        super().__init__(gate, experts, shared_experts)

    def forward(self, x: Tensor) -> Tensor:
        likely = torch.sigmoid(self.gate.scores(x).amax(-1, keepdim=True))
        out: Tensor = self.experts(x * likely.to(x.dtype), *self.gate(x))  # which weighs it with 1
        return out if self.shared_experts is None else out + self.shared_experts(x)


class BalancedSizes(Protocol):
    """The numbers of a configuration with experts as DeepSeek-V3 has them."""

    @property
    def n_routed_experts(self) -> int: ...
    @property
    def n_shared_experts(self) -> int: ...
    @property
    def num_experts_per_tok(self) -> int: ...
    @property
    def moe_intermediate_size(self) -> int: ...
    @property
    def n_group(self) -> int: ...
    @property
    def topk_group(self) -> int: ...
    @property
    def norm_topk_prob(self) -> bool: ...
    @property
    def routed_scaling_factor(self) -> float: ...


def balanced_moe(cfg: DecoderConfig, sizes: BalancedSizes) -> SparseMoE:
    """`SparseMoE` with a `BiasedRouter` and experts for every token, as in DeepSeek-V3 and GLM-4.5;
    (tokens, hidden) -> (tokens, hidden). sizes: often cfg itself. Tensors: gate, gate.balance,
    experts, shared_experts."""
    gate = BiasedRouter(
        cfg.hidden_size,
        sizes.n_routed_experts,
        sizes.num_experts_per_tok,
        groups=(sizes.n_group, sizes.topk_group),
        normalize=sizes.norm_topk_prob,
        scale=sizes.routed_scaling_factor,
    )
    experts = Experts(cfg, sizes.n_routed_experts, sizes.moe_intermediate_size)
    shared = GatedMLP(cfg, wide=sizes.moe_intermediate_size * sizes.n_shared_experts)
    return SparseMoE(gate, experts, shared)
