"""Routers: which experts a token goes to, and with what weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tramontane.errors import ConfigError

from .linear import Linear


def best(scores: Tensor, k: int) -> Tensor:
    """Where the k largest scores of each row are; of equal ones, the first."""
    return scores.sort(dim=-1, descending=True, stable=True).indices[..., :k]


class Router(Linear):
    """The k experts with the largest softmax scores, (tokens, hidden) -> weights and numbers,
    (tokens, k) each. weight: (experts, hidden), bias: (experts).

    normalize: whether the k weights are divided by their sum. scale: what they are multiplied with
    after that. balanced: whether there is a tensor `balance` (experts), added to the softmax for
    the choice and not in the weights. Raises ConfigError for more than `experts`.
    """

    balance: nn.Parameter | None
    factors: nn.Parameter | None
    """(experts) what each expert's weight is multiplied with, last of all; None: nothing. Set it
    after construction, to `nn.Parameter(torch.empty(experts), requires_grad=False)`; its tensor is
    `factors`."""

    def __init__(
        self,
        hidden: int,
        experts: int,
        k: int,
        *,
        normalize: bool,
        scale: float = 1.0,
        bias: bool = False,
        balanced: bool = False,
    ) -> None:
        if k > experts:
            raise ConfigError(f"num_experts_per_tok {k} of {experts} experts cannot be chosen")
        super().__init__(hidden, experts, bias=bias)
        self.k, self.normalize, self.scale = k, normalize, scale
        self.register_parameter("balance", None)
        if balanced:
            self.balance = nn.Parameter(torch.empty(experts), requires_grad=False)
        self.register_parameter("factors", None)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """x: (tokens, hidden) -> weights (tokens, k) float32, and experts' numbers (tokens, k)
        int64."""
        weights, chosen = self.choose(self.scores(x))
        return (weights if self.factors is None else weights * self.factors[chosen]), chosen

    def scores(self, x: Tensor) -> Tensor:
        """x: (tokens, hidden) -> (tokens, experts) float32, before softmax or sigmoid."""
        return super().forward(x.float())

    def choose(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """scores: (tokens, experts) -> what `forward` returns."""
        likely = scores.softmax(-1)
        keys = scores if self.balance is None else likely + self.balance.float()
        chosen = best(keys, self.k)
        return self.weighted(likely.gather(-1, chosen)), chosen

    def weighted(self, weights: Tensor) -> Tensor:
        """(tokens, k) -> the same, normalized and scaled."""
        if self.normalize:
            weights = weights / weights.sum(-1, keepdim=True)
        return weights * self.scale


class GroupedRouter(Router):
    """A `Router` that chooses among the experts of a token's best groups only (DeepSeek-AI 2024);
    (tokens, hidden) -> weights and numbers, (tokens, k) each.

    groups: how many groups there are, and how many of them a token may use. A group's score is that
    of its best expert. Raises ConfigError where k experts cannot be chosen from them.
    """

    def __init__(
        self,
        hidden: int,
        experts: int,
        k: int,
        *,
        groups: tuple[int, int],
        normalize: bool,
        scale: float = 1.0,
    ) -> None:
        super().__init__(hidden, experts, k, normalize=normalize, scale=scale)
        count, taken = groups
        if experts % count or taken > count or k > experts // count * taken:
            raise ConfigError(
                f"{k} experts of {taken} of {count} groups (n_group, topk_group) cannot be chosen "
                f"from {experts}"
            )
        self.groups = groups

    def choose(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        group = scores.unflatten(-1, (self.groups[0], -1)).amax(-1)
        chosen = best(self.within(scores, group), self.k)
        return self.weighted(scores.softmax(-1).gather(-1, chosen)), chosen

    def within(self, scores: Tensor, group: Tensor) -> Tensor:
        """scores: (tokens, experts), group: (tokens, groups) -> scores, minus infinity outside the
        best groups."""
        count, taken = self.groups
        kept = torch.zeros_like(group).scatter_(-1, best(group, taken), 1.0)
        members = kept.repeat_interleave(scores.shape[-1] // count, -1)
        return scores.masked_fill(members == 0, float("-inf"))


class BiasedRouter(GroupedRouter):
    """A `GroupedRouter` with sigmoid scores and a bias, balance (experts), that is added for the
    choice and not in the weights (DeepSeek-AI 2024, V3). A group's score is the sum of its two best
    experts'. Raises ConfigError for groups of fewer than two."""

    def __init__(
        self,
        hidden: int,
        experts: int,
        k: int,
        *,
        groups: tuple[int, int],
        normalize: bool,
        scale: float = 1.0,
    ) -> None:
        super().__init__(hidden, experts, k, groups=groups, normalize=normalize, scale=scale)
        if experts // groups[0] < 2:
            raise ConfigError(
                f"{experts} experts in n_group={groups[0]} groups: two in each, at least"
            )
        self.balance = nn.Parameter(torch.empty(experts), requires_grad=False)
        self.squash: Callable[[Tensor], Tensor] = torch.sigmoid  # a backend may put its own there

    def choose(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        # in float64, whose last bits may depend on where in a register a number lies
        assert self.balance is not None
        likely = self.squash(scores.double()).float()
        balanced = likely + self.balance.float()
        group = balanced.unflatten(-1, (self.groups[0], -1)).topk(2).values.sum(-1)
        chosen = best(self.within(balanced, group), self.k)
        return self.weighted(likely.gather(-1, chosen)), chosen
