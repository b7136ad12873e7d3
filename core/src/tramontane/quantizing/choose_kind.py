"""Which kind a number of bits means, what sensitive matrices get, and what comes next.

A number N means the kind with the most bits in [N, N + 1) among those that the backend has kernels
for: of the kinds of GGUF on a CPU, 2 to 6 and 8 are q2_k, q3_k, q4_k, q5_k, q6_k and q8_0. Where no
kind is there, it is the one nearest to N and a half, the larger of two, by at most one bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from tramontane.errors import PluginNotInstalled
from tramontane.layouts import Layout

from .kinds import Kind, find_kind, listed
from .make_layer import make_layout

NUMBERS = range(2, 9)
Runs = Callable[[Kind], bool]
"""Whether a backend has kernels for a kind."""
PROBES = ((64, 256), (64, 512), (64, 1024))
"""Shapes of matrices with which that is tried out."""


def asked_kind(asked: str | int, kinds: dict[str, Kind], runs: Runs) -> Kind:
    """The kind that a name or a number of bits means. Raises PluginNotInstalled."""
    text = str(asked).strip()
    if not text.isdigit():
        return find_kind(text, kinds)
    bits = int(text)
    if bits not in NUMBERS:
        raise PluginNotInstalled(f"{bits} bits are not 2 to 8", hint=listed(kinds))
    if (kind := of_bits(bits, kinds.values(), runs)) is not None:
        return kind
    raise PluginNotInstalled(
        f"nothing installed quantizes to about {bits} bits", hint=listed(kinds)
    )


def of_bits(bits: int, kinds: Iterable[Kind], runs: Runs) -> Kind | None:
    """The kind that a number means: with kernels if there is one, nearest if none is as large."""
    near = [kind for kind in kinds if abs(kind.bits - bits - 0.5) <= 1]
    within = [kind for kind in near if bits <= kind.bits < bits + 1]
    best = sorted(within, key=lambda kind: (-kind.bits, kind.name))
    rest = sorted(near, key=lambda kind: (abs(kind.bits - bits - 0.5), -kind.bits, kind.name))
    ordered = [*best, *(kind for kind in rest if kind not in best)]
    return next((kind for kind in ordered if runs(kind)), ordered[0] if ordered else None)


def promoted(kind: Kind, kinds: Iterable[Kind], runs: Runs) -> Kind:
    """What embeddings and output matrices get, where errors cost most: of the same quantizer the
    kind of 6 bits for 5 at most, else the one of 8; its next larger one where there is none."""
    own = [other for other in kinds if other.offer is kind.offer and other.bits > kind.bits]
    goal = 6 if kind.bits <= 5 else 8
    larger = [other for other in own if goal <= other.bits < goal + 1]
    if (found := of_bits(goal, larger, runs)) is not None:
        return found
    enough = [other for other in own if other.bits >= goal] or own
    return min(enough, key=lambda other: (not runs(other), other.bits, other.name), default=kind)


def of_encoder(kind: Kind, kinds: Iterable[Kind], runs: Runs) -> Kind | None:
    """What matrices of an encoder of images get: of the same quantizer the kind of 8 bits where
    fewer are asked for, or None, so they stay. They are few, and each is used for all patches."""
    if kind.bits >= 8:
        return kind
    return of_bits(8, [each for each in kinds if each.offer is kind.offer and each.bits >= 8], runs)


def next_kinds(kind: Kind, kinds: Iterable[Kind]) -> list[Kind]:
    """The kinds of the same quantizer that a matrix gets which cannot have this one, in order."""
    own = [other for other in kinds if other.offer is kind.offer and other.name != kind.name]
    return sorted(
        (other for other in own if other.bits >= kind.bits), key=lambda each: (each.bits, each.name)
    )


def kernels_of(pack: Callable[[Layout], Layout] | None) -> Runs:
    """Whether a backend repacks what a kind makes, tried out once for each. pack: its target; a
    device without one runs all kinds alike."""

    tried: dict[str, bool] = {}

    def runs(kind: Kind) -> bool:
        if pack is None:
            return True
        if kind.whole_name not in tried:
            tried[kind.whole_name] = _repacks(kind, pack)
        return tried[kind.whole_name]

    return runs


def _repacks(kind: Kind, pack: Callable[[Layout], Layout]) -> bool:
    generator = torch.Generator().manual_seed(0)
    for shape in PROBES:
        try:
            layout = make_layout(kind, torch.randn(shape, generator=generator))
        except ValueError:
            continue
        return pack(layout) is not layout
    return False
