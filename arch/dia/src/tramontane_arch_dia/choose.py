"""From a frame's logits to its codes: guidance, end of the speech, and the draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .config import DiaConfig

Floats = npt.NDArray[np.float32]
LOWEST = np.float32("-inf")


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """How codes are chosen. guidance: how far the text counts more than it would by itself; 1 or
    less: as much, without guidance. temperature: 0 takes the most likely, else logits are divided
    by it where it is above 1. top_k: of how many codes, by guided logits; 0: all. top_p: the most
    likely ones that have this probability together."""

    guidance: float = 3.0
    temperature: float = 1.8
    top_p: float = 0.9
    top_k: int = 45


def scores(logits: Floats, plain: Floats | None, how: Choosing, cfg: DiaConfig) -> Floats:
    """What is drawn from, (channels, codes), -inf for codes that cannot be.

    logits: (channels, codes) with the text; plain: without, for guidance, else None. As
    transformers' processors for Dia, in their order: guided logits choose the best top_k, the
    logits with the text are kept of them; only the first channel may end the speech, and only
    where that is its most likely code, which is then its only one.
    """
    found = logits.astype(np.float32, copy=True)
    if plain is not None:
        guided = found + (found - plain) * np.float32(how.guidance)
        if how.top_k:
            found[_below(guided, how.top_k)] = LOWEST
        else:
            found = guided
    if how.temperature > 1:
        found /= np.float32(how.temperature)
    found[1:, cfg.eos_token_id :] = LOWEST
    found[0, cfg.eos_token_id + 1 :] = LOWEST
    if found[0].argmax() == cfg.eos_token_id:
        found[0, : cfg.eos_token_id] = LOWEST
    else:
        found[0, cfg.eos_token_id] = LOWEST
    if how.temperature == 0:
        return found
    if how.top_k and plain is None:
        found[_below(found, how.top_k)] = LOWEST
    if how.top_p < 1:
        found[_beyond(found, how.top_p)] = LOWEST
    return found


def draw(found: Floats, how: Choosing, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Codes (channels) from what `scores` gave. A frame takes as many random numbers as it has
    channels, whatever is drawn."""
    if how.temperature == 0:
        return np.asarray(found.argmax(-1), np.int64)
    shares = _shares(found)
    points = random.random(len(found))
    summed = shares.cumsum(-1)
    points = points * summed[:, -1]
    codes = (summed <= points[:, None]).sum(-1)
    last = found.shape[1] - 1 - np.isfinite(found)[:, ::-1].argmax(-1)
    return np.asarray(np.minimum(codes, last), np.int64)


def _below(found: Floats, count: int) -> Any:
    """Which are not among the `count` largest of their channel."""
    count = min(count, found.shape[1])
    order = np.argsort(-found, -1, kind="stable")[:, count:]
    mask = np.zeros(found.shape, bool)
    np.put_along_axis(mask, order, values=True, axis=-1)
    return mask


def _beyond(found: Floats, share: float) -> Any:
    """Which are not among the most likely that have a share of the probability together."""
    order = np.argsort(found, -1, kind="stable")
    summed = np.take_along_axis(_shares(found), order, -1).cumsum(-1)
    out = summed <= 1 - share
    out[:, -1] = False
    mask = np.zeros(found.shape, bool)
    np.put_along_axis(mask, order, out, axis=-1)
    return mask


def _shares(found: Floats) -> npt.NDArray[np.float64]:
    """Probabilities, (channels, codes)."""
    wide = found.astype(np.float64)
    powers = np.exp(wide - wide.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))
