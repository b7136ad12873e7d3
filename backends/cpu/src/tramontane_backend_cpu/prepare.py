"""Make a model fast: repack its matrices, record its step, put both where the model looks."""

from __future__ import annotations

from collections.abc import Mapping

from tramontane.backend import Device
from tramontane.blocks import Attention, CausalLM, Embedding, Linear
from tramontane.layouts import Affine

from .alone import attend, embed_packed, multiply_packed
from .packing import Interleaved, can_pack, pack
from .step.forward import Forward
from .step.pool import Pool, shared_pool
from .threads import limit_others, usable


def prepare(
    model: CausalLM, device: Device, threads: int | None, activations: str = "auto"
) -> Mapping[str, str]:
    """Choose kernels for every block. Implements `tramontane.backend.Prepare`."""
    count = threads or usable()
    limit_others(count)
    pool = shared_pool(count)
    exact = activations == "f32"
    chosen = repack(model, exact, pool)
    for module in model.modules():
        if isinstance(module, Attention):
            module.kernel = attend(pool)
            chosen["attention"] = "compiled"
    forward = Forward(model, pool, exact=exact)
    model.forward = forward  # type: ignore[method-assign]
    chosen["step"] = "recorded" if forward.why is None else f"as written: {forward.why}"
    return chosen


def repack(model: CausalLM, exact: bool, pool: Pool) -> dict[str, str]:
    """Replace the weights that there are kernels for, each freed before the next is read."""
    numbers = "f32" if exact else "int8"
    chosen: dict[str, str] = {}
    owners: dict[int, list[Linear | Embedding]] = {}
    for module in model.modules():
        if isinstance(module, (Linear, Embedding)):
            owners.setdefault(id(module.weight), []).append(module)
    for modules in owners.values():
        weight = modules[0].weight
        packable = isinstance(weight, Affine) and can_pack(weight)
        if isinstance(weight, Affine) and packable:
            packed = Interleaved(pack(weight, pool), weight.kind)
            for module in modules:
                module.weight = packed  # type: ignore[assignment]
        for module in modules:
            operation = "linear" if isinstance(module, Linear) else "embedding"
            name = "reference" if isinstance(weight, Affine) and not packable else "compiled"
            chosen[f"{operation} {weight.kind}"] = f"{name}, {numbers}" if packable else name
            if packable:
                module.kernel = (
                    multiply_packed(exact, pool) if isinstance(module, Linear) else embed_packed
                )
        del weight
    return chosen
