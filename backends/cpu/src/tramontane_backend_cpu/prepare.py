"""Make a model fast: repack its matrices, record its step, put both where the model looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tramontane.backend import Device
from tramontane.blocks import Attention, CausalLM, Embedding, Linear
from tramontane.layouts import Affine, Codebook, Dense, Layout
from tramontane.stored import Stored

from .alone import attend, embed_packed, multiply_packed
from .large_pages import moved
from .packing import Interleaved, can_pack, pack
from .step.forward import Forward
from .step.pool import Pool, shared_pool
from .threads import limit_others, usable
from .translation import translated


def repack(weight: Layout, device: Device, threads: int | None) -> Layout:
    """A matrix as the kernels want it, if there is one for it. Implements `backend.Pack`."""
    if isinstance(weight, Dense):
        return Dense(moved(weight.data))
    if not can_pack(weight):
        return weight
    packed = pack(weight, shared_pool(threads or usable()))
    return Interleaved(packed, weight.kind)  # type: ignore[return-value]


def translate(
    matrices: Sequence[Stored], device: Device, threads: int | None
) -> list[Layout | None]:
    """The same from a file's blocks. Implements `backend.Translate`."""
    return translated(matrices, shared_pool(threads or usable()))


def prepare(
    model: CausalLM, device: Device, threads: int | None, activations: str = "auto"
) -> Mapping[str, str]:
    """Choose kernels for every block. Implements `tramontane.backend.Prepare`."""
    count = threads or usable()
    limit_others(count)
    pool = shared_pool(count)
    exact = activations == "f32"
    chosen: dict[str, str] = {}
    packed: dict[int, tuple[Layout, Layout]] = {}  # with what it was, or its id might come again
    for module in model.modules():
        if isinstance(module, (Linear, Embedding)):
            weight: Layout = module.weight
            if isinstance(weight, (Affine, Codebook)):  # not packed as it was read
                if id(weight) not in packed:
                    packed[id(weight)] = weight, repack(weight, device, threads)
                module.weight = weight = packed[id(weight)][1]
            chosen[f"{type(module).__name__.lower()} {weight.kind}"] = _choose(module, exact, pool)
        elif isinstance(module, Attention):
            module.kernel = attend(pool)
            chosen["attention"] = "compiled"
    forward = Forward(model, pool, exact=exact)
    model.forward = forward  # type: ignore[method-assign]
    chosen["step"] = "recorded" if forward.why is None else f"as written: {forward.why}"
    return chosen


def _choose(module: Linear | Embedding, exact: bool, pool: Pool) -> str:
    """Put a kernel on a block; returns what it is called."""
    if not isinstance(module.weight, Interleaved):
        return "compiled" if isinstance(module.weight, Dense) else "reference"
    if isinstance(module, Embedding):
        module.kernel = embed_packed
        return "compiled"
    module.kernel = multiply_packed(exact, pool)
    plain = exact or module.weight.packed.packing.plain_only
    return "compiled, f32" if plain else "compiled, int8"
