"""What a model would be here in each number of bits: size, context, speed, and how good.

Tokens per second are the memory's bytes per second, divided by the bytes of the matrices that a
token reads: all but the embedding, and of experts those that a token goes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from tramontane.blocks import Embedding
from tramontane.blocks.moe import SparseMoE
from tramontane.checkpoint.build import Built
from tramontane.errors import PluginNotInstalled
from tramontane.registry import Registry

from .choices import Asked, Choices, choose, types_stored
from .choose_kind import Runs
from .kinds import Kind, installed_kinds

PROFILES = {
    "quality": (16, 8, 6, 5, 4, 3, 2),
    "balanced": (6, 5, 4, 3, 2),
    "fast": (4, 3, 2),
}
"""The bits that each prefers, in order; 16: as it is."""
LEAST_CONTEXT = 2048
"""Tokens without which a candidate does not fit, unless the model has fewer."""
QUALITY = ((15, "baseline"), (8, "near-lossless"), (5, "good"), (4, "acceptable"), (0, "degraded"))
"""Tiers by the bits of most matrices."""


@dataclass(frozen=True)
class Candidate:
    """A model in so many bits. isq: what --isq takes; None: as it is. bytes: of all weights, in
    memory. share: of the memory that is free. context: tokens that fit besides, at most the
    model's own. tokens_per_second: of one sequence, at best."""

    name: str
    isq: str | None
    bits: float
    bytes: int
    share: float
    context: int
    tokens_per_second: float
    quality: str
    fits: bool
    recommended: bool = False


@dataclass(frozen=True)
class Machine:
    """free: bytes of memory. bandwidth: bytes per second that it is read with. per_token: bytes
    of a token of context. overhead: bytes beside weights and context."""

    free: int
    bandwidth: float
    per_token: int
    overhead: int = 256 << 20


def candidates(
    built: Built, registry: Registry, machine: Machine, runs: Runs, profile: str
) -> list[Candidate]:
    """The model as it is, and in 8 to 2 bits, as far as kinds for these are installed."""
    header = built.checkpoint.header
    users: dict[str, int] = {}
    for source in built.sources.values():
        for tensor in source.tensors:
            users[tensor] = users.get(tensor, 0) + 1
    stored = {
        path: sum(header.tensors[tensor].held // users[tensor] for tensor in source.tensors)
        for path, source in built.sources.items()
    }
    weights = sum(prod(slot.shape) for slot in built.wanted.values())
    width = 8 * sum(stored.values()) / max(weights, 1)
    found = [_candidate(built, stored, machine, "as it is", None, width)]
    kinds = installed_kinds(registry)
    types = types_stored(header, built.sources)
    for bits in (8, 6, 5, 4, 3, 2):
        try:
            choices = choose(Asked(bits), built.wanted, types, built.model, kinds, runs)
        except PluginNotInstalled:
            continue
        kind = _usual(choices)
        if kind is None or kind.name in {each.name for each in found}:
            continue
        sizes = {
            path: choices.kinds[path].nbytes(prod(built.wanted[path].shape))
            if path in choices.kinds
            else size
            for path, size in stored.items()
        }
        found.append(_candidate(built, sizes, machine, kind.name, str(bits), kind.bits))
    return _with_recommendation(found, profile)


def _usual(choices: Choices) -> Kind | None:
    count: dict[str, int] = {}
    for kind in choices.kinds.values():
        count[kind.name] = count.get(kind.name, 0) + 1
    return max(choices.kinds.values(), key=lambda kind: count[kind.name], default=None)


def _candidate(
    built: Built,
    sizes: Mapping[str, int],
    machine: Machine,
    name: str,
    isq: str | None,
    bits: float,
) -> Candidate:
    size = sum(sizes.values())
    room = machine.free - size - machine.overhead
    trained = built.model.cfg.max_position_embeddings
    context = max(0, min(trained, room // max(machine.per_token, 1) // 16 * 16))
    quality = next(tier for least, tier in QUALITY if bits >= least)
    speed = machine.bandwidth / max(_read_per_token(built, sizes), 1)
    fits = context >= min(LEAST_CONTEXT, trained) // 16 * 16
    share = size / max(machine.free, 1)
    return Candidate(name, isq, bits, size, share, context, speed, quality, fits)


def _read_per_token(built: Built, sizes: Mapping[str, int]) -> float:
    shares = {}
    for path, module in built.model.named_modules():
        if isinstance(module, SparseMoE):
            shares[f"{path}.experts."] = module.gate.k / module.experts.count
    tied = built.config.tie_word_embeddings
    total = 0.0
    for path, size in sizes.items():
        if isinstance(built.wanted[path].module, Embedding) and not tied:
            continue
        total += size * next((s for p, s in shares.items() if path.startswith(p)), 1.0)
    return total


def _with_recommendation(found: list[Candidate], profile: str) -> list[Candidate]:
    """Mark the first that a profile prefers and that fits; where none does, the smallest."""
    best = None
    for bits in PROFILES[profile]:
        wanted = None if bits == 16 else str(bits)
        best = best or next((each for each in found if each.isq == wanted and each.fits), None)
    best = best or min(found, key=lambda each: each.bytes)
    return [replace(each, recommended=each is best) for each in found]
