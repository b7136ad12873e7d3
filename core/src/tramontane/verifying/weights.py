"""Some rows of every weight, to see which differ between two models that are not in memory at once.

How far a weight may be from another is known from the formats. A number of b bits, scaled by its
group's largest, whose magnitudes are about 2.5 times the group's root mean square, has a step of
2.5 / 2^(b - 1) of that, and rounding leaves a uniform error in it:

    rounding(b) = 2.5 / (sqrt(12) 2^(b - 1))        8 bits: 0.6 %, 6: 2.3 %, 4: 9 %, 3: 18 %

Floats are off by half a unit in the last place at most; those of 8 bits have 3 bits behind the
point or 2. `SPREAD` times that is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from tramontane.layouts import Dense, Layout, Permuted

ROWS = 8
SPREAD = 2.0
EXACT = 1e-6


@dataclass(frozen=True)
class Sample:
    """rows: (up to ROWS, columns) float32 of a weight of `shape`. rounding: how far it may be from
    the weight that it was made of, as a share of its size. kind: what it is kept in."""

    shape: tuple[int, ...]
    rows: Tensor
    rounding: float
    kind: str


@dataclass(frozen=True)
class WeightError:
    """path: of the weight. error: the size of the difference by the weight's own."""

    path: str
    error: float
    allowed: float
    ratio: float
    """What one weight is of the other, in the mean, where they have one direction."""

    @property
    def wrong(self) -> bool:
        return not self.error <= self.allowed


def samples_of(model: nn.Module) -> dict[str, Sample]:
    """By path, those of layouts and of parameters and buffers that are saved."""
    found = {}
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if weight is not None and not isinstance(weight, Tensor) and hasattr(weight, "decode"):
            found[f"{path}.weight"] = _sample(cast("Layout", weight))
    for path, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.device.type != "meta" and tensor.numel():
            found[path] = _sample(Dense(tensor.detach()))
    return found


def weight_errors(
    got: Mapping[str, Sample], expected: Mapping[str, Sample], *, one_file: bool
) -> list[WeightError]:
    """Of weights that both models have in one shape, by the order of `got`. one_file: both are
    read from the same numbers, so that nothing may differ."""
    return [
        _error(path, mine, expected[path], one_file)
        for path, mine in got.items()
        if path in expected and mine.shape == expected[path].shape
    ]


def rounding_of(weight: Layout) -> float:
    """See above."""
    if isinstance(weight, Permuted):
        return rounding_of(weight.layout)
    if isinstance(weight, Dense):
        return float(torch.finfo(weight.data.dtype).eps) / 2
    if weight.kind.startswith("codebook8"):
        return 2.0**-3
    return float(2.5 / (12**0.5 * 2 ** (weight.bits - 1)))


def _sample(weight: Layout) -> Sample:
    shape = tuple(weight.shape)
    if isinstance(weight, Dense) and len(shape) != 2:
        flat = weight.data.reshape(shape[0] if len(shape) > 1 else 1, -1)
        rows = flat[_places(flat.shape[0])].float()
    else:
        rows = weight.rows(_places(shape[0])).decode(torch.float32)
    return Sample(shape, rows.cpu().clone(), rounding_of(weight), weight.kind)


def _places(count: int) -> Tensor:
    return torch.linspace(0, count - 1, min(ROWS, count)).round().long()


def _error(path: str, mine: Sample, other: Sample, one_file: bool) -> WeightError:
    a, b = mine.rows.double(), other.rows.double()
    size = float(b.norm())
    apart = float((a - b).norm())
    error = apart / size if size else apart
    rounding = (mine.rounding**2 + other.rounding**2) ** 0.5
    allowed = EXACT + SPREAD * rounding
    if one_file:
        allowed = EXACT
    return WeightError(path, error, allowed, float((a * b).sum()) / size**2 if size else 1.0)
