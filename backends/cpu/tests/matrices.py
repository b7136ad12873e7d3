"""Random packed matrices, and what rounding may do to their products."""

from __future__ import annotations

import torch
from torch import Tensor
from tramontane.layouts import Affine, Codebook, pack
from tramontane.testing.tiny_model import LAYOUTS

KINDS = [(1, "zero"), (1, "min"), (1, "none"), (2, "zero"), (2, "min"), (2, "none")]
# every kind once, every width and every group with the simplest and the fullest kind: each
# combination is compiled, so the whole product would take minutes
CASES = [(4, 32, *kind) for kind in KINDS] + [
    (bits, group, *kind)
    for bits, group in [(2, 16), (3, 16), (4, 64), (4, 128), (5, 32), (6, 16), (8, 32)]
    for kind in [(1, "zero"), (2, "min")]
]

OF_EXPERTS = [name for name in LAYOUTS if name != "affine4-row-groups"]
"""Layouts of the kit that have kernels where matrices are stacked."""


def affine(
    bits: int, group: int, levels: int, offset: str, shape: tuple[int, int], scale: float = 1.0,
    supers: int = 1,
) -> Affine:  # fmt: skip
    """Random codes, scales and minima. supers: scales of scales in a row, where there are two
    levels."""
    rows, columns = shape
    random = torch.Generator().manual_seed(bits * group + levels + rows)
    codes = torch.randint(0, 1 << bits, shape, generator=random)
    groups = columns // group
    scales = (torch.randn(rows, groups, generator=random) * scale).half()
    minimum = torch.randn(rows, groups, generator=random).half() if offset == "min" else None
    super_scale = super_minimum = None
    if levels == 2:
        least, kind = (0, torch.uint8) if bits == 2 else (-32, torch.int8)
        most = 16 if bits == 2 else 32  # 2 bits: two numbers that fit into a byte, as in Q2_K
        scales = torch.randint(least, most, (rows, groups), generator=random).to(kind)
        super_scale = torch.randn(rows, supers, generator=random).half()
        if minimum is not None:
            most = 16 if bits == 2 else 64
            minimum = torch.randint(0, most, (rows, groups), generator=random).to(torch.uint8)
            super_minimum = torch.randn(rows, supers, generator=random).half()
    zero = 1 << (bits - 1) if offset == "zero" else 0
    planes = pack(codes, bits)
    return Affine(bits, group, planes, scales, zero, minimum, super_scale, super_minimum)


def rounding(x: Tensor, weight: Tensor) -> Tensor:
    """What float32 may do to a sum of products, per output: (terms + 4) * eps times the sum of
    what the terms' parts come to, code and offset counted apart."""
    eps = torch.finfo(torch.float32).eps
    return (x.shape[1] + 4) * eps * 8 * (x.double().abs() @ weight.double().abs().T + 1e-6)


def quantizing(x: Tensor, weight: Tensor) -> Tensor:
    """What quantizing x to 8 bits may do, per output: each number moves by at most half of what a
    code is worth, which is the largest magnitude of its 32 / 127."""
    short = -x.shape[1] % 32
    units = torch.nn.functional.pad(x.double(), (0, short)).unflatten(1, (-1, 32))
    worth = units.abs().amax(2) / 127
    heavy = torch.nn.functional.pad(weight.double(), (0, short)).unflatten(1, (-1, 32))
    return (worth / 2) @ heavy.abs().sum(2).T * (1 + 1e-5)


def check(out: Tensor, x: Tensor, weight: Affine | Codebook, *, exact: bool) -> None:
    """Compare with the product in double precision."""
    decoded = weight.decode().double()
    # code and offset are multiplied apart, and may each be larger than what they come to
    spread = decoded.abs().amax(1).expand(x.shape[1], -1).T
    allowed = rounding(x, spread)
    if not exact:
        allowed = allowed + quantizing(x, decoded)
    assert ((out.double() - x.double() @ decoded.T).abs() <= allowed).all()
