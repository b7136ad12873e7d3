"""How far two computations are from each other, and how far rounding may have brought them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .result import LIMIT, LayerResult, LogitError
from .watch import Seen

SPREAD = 3.0
"""Rounding differently is another draw of noise; the largest of many draws of one size differ."""


def logit_errors(got: Tensor, expected: Tensor) -> Tensor:
    """(tokens): the largest difference of each position, as a share of the largest logit."""
    return (got - expected).abs().amax(-1) / expected.abs().max()


def state_error(got: Tensor | None, expected: Tensor | None) -> float | None:
    """The largest of |difference| / |expected| over tokens; None where there is nothing to
    compare. got, expected: (tokens, hidden)."""
    if got is None or expected is None or got.shape != expected.shape:
        return None
    size = expected.norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    return _largest((got - expected).norm(dim=1) / size)


def judged(got: Tensor, expected: Tensor, noise: float) -> LogitError:
    """noise: what rounding changes, as `logit_errors` measures it."""
    apart, allowed = logit_errors(got, expected), LIMIT + SPREAD * noise
    over = [place for place, share in enumerate(apart.tolist()) if not share <= allowed]
    same = (got.argmax(-1) == expected.argmax(-1)).float().mean()
    return LogitError(_largest(apart), allowed, over[0] if over else None, float(same))


def layer_results(
    free: Sequence[Seen], fed: Sequence[Seen], theirs: Sequence[Seen], noisy: Sequence[Seen],
    kinds: Sequence[str],
) -> list[LayerResult]:  # fmt: skip
    """Embedding, layers and logits. free: ours. fed: ours, each layer given theirs. noisy: as fed,
    and rounded, beside which fed shows the size of rounding; or empty."""
    names = ["embedding", *map(str, range(len(kinds))), "logits"]
    states = [_states(each) for each in (free, fed, theirs, noisy)]
    found = []
    for index, (name, kind) in enumerate(zip(names, ["", *kinds, ""], strict=True)):
        error = _over_prompts(states[0], states[2], index)
        if error is None:
            continue
        own = _over_prompts(states[1], states[2], index)
        noise = _over_prompts(states[3], states[1], index) if noisy else 0.0
        allowed = LIMIT + SPREAD * (noise or 0.0)
        jump = own is not None and not own <= allowed
        found.append(LayerResult(name, kind, error, own, allowed, jump))
    return found


def _states(seen: Sequence[Seen]) -> list[list[Tensor | None]]:
    return [[each.embedded, *each.layers, each.logits] for each in seen]


def _over_prompts(
    got: list[list[Tensor | None]], expected: list[list[Tensor | None]], index: int
) -> float | None:
    pairs = zip(got, expected, strict=True)
    errors = [
        state_error(a[index], b[index]) for a, b in pairs if index < len(a) and index < len(b)
    ]
    known = [error for error in errors if error is not None]
    return max(known, key=lambda e: float("inf") if e != e else e, default=None)


def _largest(values: Tensor) -> float:
    """The maximum; nan where there is one."""
    return float(values.max())
