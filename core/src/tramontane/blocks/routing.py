"""Which experts a token goes to, and how much each counts."""

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
    """The k likeliest experts by softmax. normalize: their weights are made to sum to one."""

    def __init__(
        self, hidden: int, experts: int, k: int, *, normalize: bool, scale: float = 1.0
    ) -> None:
        if k > experts:
            raise ConfigError(f"num_experts_per_tok {k} of {experts} experts cannot be chosen")
        super().__init__(hidden, experts, split=None)
        self.k, self.normalize, self.scale = k, normalize, scale

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """(tokens, hidden) -> weights, float32, and experts, (tokens, k) each."""
        return self.choose(super().forward(x.float()))

    def choose(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and experts from (tokens, experts) scores."""
        chosen = best(scores, self.k)
        return self.weighted(scores.softmax(-1).gather(-1, chosen)), chosen

    def weighted(self, weights: Tensor) -> Tensor:
        if self.normalize:
            weights = weights / weights.sum(-1, keepdim=True)
        return weights * self.scale


class GroupedRouter(Router):
    """Experts in groups; a token's are all of its few best groups (DeepSeek-AI 2024).

    groups: how many there are and how many a token goes to. A group counts as its best expert.
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
        """Scores, minus infinity those that are in none of the groups that are best."""
        count, taken = self.groups
        kept = torch.zeros_like(group).scatter_(-1, best(group, taken), 1.0)
        members = kept.repeat_interleave(scores.shape[-1] // count, -1)
        return scores.masked_fill(members == 0, float("-inf"))


class BiasedRouter(GroupedRouter):
    """Scores by sigmoid; a bias that balances the load takes part in choosing, and not in the
    weights (DeepSeek-AI 2024, V3). A group counts as its two best experts."""

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
        likely = self.squash(scores.double()).float()
        balanced = likely + self.balance.float()
        group = balanced.unflatten(-1, (self.groups[0], -1)).topk(2).values.sum(-1)
        chosen = best(self.within(balanced, group), self.k)
        return self.weighted(likely.gather(-1, chosen)), chosen
