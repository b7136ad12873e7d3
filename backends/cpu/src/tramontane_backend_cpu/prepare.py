"""Prepare a model: repack its matrices, record its step, and bind kernels to its blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor
from tramontane import reference
from tramontane.backend import Device
from tramontane.blocks import (
    Attention,
    CausalLM,
    Embedding,
    Experts,
    LatentAttention,
    Linear,
    StackedLinear,
)
from tramontane.layouts import Affine, Codebook, Dense, Layout
from tramontane.stored import Stored

from . import memory_ahead, page_size
from .alone import (
    attend,
    attend_latents,
    embed_packed,
    multiply_dense,
    multiply_packed,
    multiply_stacked,
)
from .experts import mixture
from .large_pages import moved
from .packing import KINDS, Interleaved, can_pack, pack
from .step.forward import Forward
from .step.pool import Pool, shared_pool
from .threads import limit_others, usable
from .translation import translated
from .vector.tiles import ROWS

Multiply: TypeAlias = Callable[[Tensor, Layout], Tensor]


def repack(weight: Layout, device: Device, threads: int | None) -> Layout:
    """Repack a matrix (rows, columns) for the kernels, if one supports it. Implements
    `backend.Pack`."""
    if isinstance(weight, Dense):
        return Dense(moved(weight.data))
    if not can_pack(weight):
        return weight
    packed = pack(weight, shared_pool(threads or usable()))
    return Interleaved(packed, weight.kind)  # type: ignore[return-value]


def translate(
    matrices: Sequence[Stored], device: Device, threads: int | None
) -> list[Layout | None]:
    """Repack matrices from a file's blocks. Implements `backend.Translate`."""
    return translated(matrices, shared_pool(threads or usable()))


def prepare(
    model: CausalLM, device: Device, threads: int | None, activations: str = "auto"
) -> Mapping[str, str]:
    """Choose kernels for every block. Implements `tramontane.backend.Prepare`."""
    memory_ahead.forget()
    count = threads or usable()
    limit_others(count)
    pool = shared_pool(count)
    exact = activations == "f32"
    chosen: dict[str, str] = {}
    packed: dict[int, tuple[Layout, Layout]] = {}  # by id, with the original to keep it alive
    for module in model.modules():
        if isinstance(module, (Linear, Embedding)):
            weight: Layout = module.weight
            if isinstance(weight, (Affine, Codebook)):  # not repacked while loading
                if id(weight) not in packed:
                    packed[id(weight)] = weight, repack(weight, device, threads)
                module.weight = weight = packed[id(weight)][1]
            chosen[f"{type(module).__name__.lower()} {weight.kind}"] = _choose(module, exact, pool)
        elif isinstance(module, StackedLinear):
            chosen[f"experts {module.weight.kind}"] = _choose_stacked(module, exact, pool)
        elif isinstance(module, Attention):
            module.kernel = attend(pool)
            chosen["attention"] = "compiled"
        elif isinstance(module, LatentAttention):
            module.kernel = attend_latents(pool)
            chosen["attention"] = "compiled"
    for module in model.modules():
        if isinstance(module, Experts) and (fused := mixture(module, exact, pool)) is not None:
            module.through = fused  # type: ignore[method-assign]
    forward = Forward(model, pool, exact=exact)
    model.forward = forward  # type: ignore[method-assign]
    if forward.program is not None:
        model.step = forward.program.run  # type: ignore[method-assign]
    page_size.enlarge(pool.busy)
    chosen["step"] = "recorded" if forward.why is None else f"as written: {forward.why}"
    return chosen


def _choose(module: Linear | Embedding, exact: bool, pool: Pool) -> str:
    """Bind a kernel to a block; returns its description."""
    weight: Layout = module.weight
    if isinstance(module, Embedding):
        if not isinstance(weight, Interleaved):
            return "compiled" if isinstance(weight, Dense) else "reference"
        module.kernel = embed_packed
        return "compiled"
    module.kernel, called = _multiply(weight, exact, pool)
    return called


def _choose_stacked(module: StackedLinear, exact: bool, pool: Pool) -> str:
    """Bind a kernel to a stack of matrices; returns its description."""
    weight: Layout = module.weight
    # kernels work on blocks of 16 rows, and no block may span two matrices
    if (
        isinstance(weight, (Affine, Codebook))
        and weight.shape[0] // module.count % ROWS == 0
        and can_pack(weight)
    ):
        module.weight = Interleaved(pack(weight, pool), weight.kind)  # type: ignore[assignment]
    multiply, called = _multiply(module.weight, exact, pool)
    module.kernel = multiply_stacked(multiply)
    return called


def _multiply(weight: Layout, exact: bool, pool: Pool) -> tuple[Multiply, str]:
    if isinstance(weight, Interleaved):
        plain = exact or weight.packed.packing.plain_only
        return multiply_packed(exact, pool), "compiled, f32" if plain else "compiled, int8"
    if isinstance(weight, Dense) and weight.data.dtype in KINDS:
        return multiply_dense(pool), "compiled"
    return reference.linear, "reference"
