"""Make a model fast: repack its matrices, record its step, put both where the model looks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from tramontane.backend import EAGER, STEP, Device, is_part
from tramontane.block_format import Stored
from tramontane.blocks import (
    ACTIVATIONS,
    Attention,
    CausalLM,
    ClampedSwiGLU,
    CrossAttention,
    DeltaRule,
    Embedding,
    Experts,
    GeneralizedDeltaRule,
    LatentAttention,
    Linear,
    MediaLM,
    SelectiveScan,
    ShortConv,
    StackedLinear,
    TokenShift,
)
from tramontane.blocks.task_model import TaskModel
from tramontane.blocks.text_attention import TextAttention
from tramontane.blocks.vision import EncoderLayer, PackedAttention, Patches
from tramontane.layouts import Affine, Codebook, Dense, Layout, Permuted, RowGroups
from tramontane.layouts.low_rank import LowRank
from tramontane.placement.part import Part

from . import early_memory, huge_pages
from .arena import Slabs, end_shared, shared
from .eager import (
    activate,
    attend,
    attend_latents,
    embed_grouped,
    embed_packed,
    join,
    multiply_decoded,
    multiply_dense,
    multiply_grouped,
    multiply_packed,
    multiply_stacked,
)
from .eager_encoder import attend_packed, attend_texts
from .eager_functions import SteadyFunctions
from .eager_recurrent import convolve, correct, correct_generally, select, shift
from .experts import KERNELS, mixture
from .low_rank import multiply_low_rank
from .mapped_weights import moved
from .packing import Apart, Interleaved, can_pack, pack
from .row_groups import Grouped, can_group, grouped
from .row_orders import put_in_order
from .standing import Asked, Standing
from .step.forward import Forward
from .step.lower import PLAIN
from .step.pool import Pool, shared_pool
from .step.row_program import RowProgram, Workspace
from .threads import limit_others, usable
from .translation import translated
from .vector.tiles import ROWS

log = logging.getLogger(__name__)
PACKABLE = (Affine, Codebook, Permuted)
Multiply: TypeAlias = Callable[[Tensor, Layout], Tensor]


def repack(weight: Layout, device: Device, threads: int | None) -> Layout:
    """A matrix as the kernels want it, if there is one for it. Implements `backend.Pack`."""
    if isinstance(weight, Dense):
        return Dense(moved(weight.data))
    if isinstance(weight, RowGroups) and can_group(weight):
        return grouped(weight, shared_pool(threads or usable()))  # type: ignore[return-value]
    if not isinstance(weight, PACKABLE) or not can_pack(weight):
        return weight
    slabs = shared(sum(tensor.nbytes for tensor in weight.tensors().values()))
    packed = pack(weight, shared_pool(threads or usable()), slabs)
    return Interleaved(packed, weight.kind)  # type: ignore[return-value]


def translate(
    matrices: Sequence[Stored], device: Device, threads: int | None
) -> list[Layout | None]:
    """The same from a file's blocks. Implements `backend.Translate`."""
    return translated(matrices, shared_pool(threads or usable()))


def multiply(threads: int | None) -> Callable[[Tensor, Layout | LowRank], Tensor]:
    """Products of plain matrices, and of pairs of narrow ones, whose rows do not depend on
    others."""
    pool = shared_pool(threads or usable())
    dense = multiply_dense(True, pool)

    def product(x: Tensor, weight: Layout | LowRank) -> Tensor:
        if isinstance(weight, LowRank):
            return multiply_low_rank(x, weight, pool)
        return dense(x, weight)

    return product


def bind(
    weight: Layout, device: Device, threads: int | None, activations: str
) -> tuple[Layout, Multiply]:
    """A matrix that may take the place of a model's, and its kernel. Implements `Backend.bind`."""
    pool = shared_pool(threads or usable())
    if isinstance(weight, PACKABLE) and can_pack(weight):  # not where a model is being packed now
        weight = Interleaved(pack(weight, pool), weight.kind)  # type: ignore[assignment]
    else:
        weight = repack(weight, device, threads)
    return weight, _multiply(weight, activations == "f32", pool)[0]


def prepare(
    model: CausalLM | Part,
    device: Device,
    threads: int | None,
    activations: str = "auto",
    products: Asked | None = None,
) -> Mapping[str, str]:
    """Choose kernels for every block. Implements `tramontane.backend.Prepare`. products: of a
    backend that stands on this one, see `plugin.Backend`."""
    early_memory.forget()
    count = threads or usable()
    whole = model.whole if is_part(model) else model
    # of an encoder little is left to torch, whose threads would wait for the backend's
    if isinstance(whole, TaskModel):
        limit_others(whole.torch_threads or count)
    else:
        limit_others(1 if isinstance(whole, MediaLM) else count)
    pool = shared_pool(count)
    exact = activations == "f32"
    chosen: dict[str, str] = {}
    packed: dict[int, tuple[Layout, Layout]] = {}  # with what it was, or its id might come again
    row_orders: dict[StackedLinear, Any] = {}
    standing = None if products is None else Standing(products, model, pool, exact=exact)
    for module in model.modules():
        if isinstance(module, (Linear, Embedding)):
            weight: Layout = module.weight
            if not _ready(weight):  # not packed as it was read
                if id(weight) not in packed:
                    packed[id(weight)] = weight, repack(weight, device, threads)
                module.weight = weight = packed[id(weight)][1]
            what = f"{type(module).__name__.lower()} {weight.kind}"
            chosen[what] = _choose(module, exact, pool)
            if standing is not None and isinstance(module, Linear):
                chosen |= standing.put(module, what)
        elif type(module) is Experts:  # before its matrices
            row_orders |= put_in_order(module)
        elif isinstance(module, StackedLinear):
            if isinstance(module.weight, Dense) and not _ready(module.weight):
                module.weight = repack(module.weight, device, threads)
            chosen[f"experts {module.weight.kind}"] = _choose_stacked(
                module, exact, pool, row_orders.get(module)
            )
        elif isinstance(module, CrossAttention):
            module.kernel = attend(pool)
            chosen["attention"] = "compiled"
        elif isinstance(module, Attention):
            module.kernel, module.mutual = attend(pool), True
            chosen["attention"] = "compiled"
        elif isinstance(module, Patches) and module.weight.dtype in PLAIN:
            module.kernel = multiply_dense(exact, pool)
        elif isinstance(module, PackedAttention):
            module.kernel = attend_packed(pool)
        elif isinstance(module, TextAttention):
            module.kernel = attend_texts(pool)
            chosen["attention"] = "compiled"
        elif isinstance(module, LatentAttention):
            module.kernel = attend_latents(pool)
            chosen["attention"] = "compiled"
        elif type(module) is ShortConv:
            module.kernel = convolve(module, pool)
        elif type(module) is TokenShift:
            module.kernel = shift(module, pool)
        elif type(module) is GeneralizedDeltaRule:
            module.kernel = correct_generally(module, pool)
        elif type(module) is DeltaRule:
            module.kernel = correct(module, pool)
        elif type(module) is SelectiveScan:
            module.kernel = select(module, pool)
    for module in model.modules():
        if isinstance(module, Experts) and (fused := mixture(module, exact, pool)) is not None:
            module.through = fused  # type: ignore[method-assign]
    if is_part(model):
        _prepare_part(model, pool, exact=exact)
        return chosen | _record_inside(model, pool, exact=exact)
    assert isinstance(model, CausalLM)
    forward = Forward(model, pool, exact=exact)
    model.forward = forward  # type: ignore[method-assign]
    if isinstance(model, MediaLM):  # an encoder is not in the step
        _compile_layers(model, pool, exact=exact)
        model.in_company = forward.program is not None
    _activate(model, pool)  # some steps run as written
    model.step = forward.step  # type: ignore[method-assign]
    model.last_hidden = forward.last_hidden  # type: ignore[method-assign]
    model.mixes = forward.mixes
    end_shared()
    huge_pages.enlarge(pool.busy)
    chosen[STEP] = "recorded" if forward.why is None else f"{EAGER}{forward.why}"
    if forward.operation:
        log.warning(
            "the CPU backend runs this model operation by operation, which is slower, because of "
            "%s; docs/writing-an-architecture.md, \"Operations that keep the fast step\", lists "
            "what it has kernels for", forward.why,
        )  # fmt: skip
    return chosen


def _prepare_part(part: Part, pool: Pool, *, exact: bool) -> None:
    """What runs layers that are called one by one: no step is recorded of a part."""
    _compile_layers(part, pool, exact=exact)
    _activate(part, pool)
    steady = SteadyFunctions(pool)
    vars(part)["around"] = lambda: steady
    end_shared()
    huge_pages.enlarge(pool.busy)


def _record_inside(part: Part, pool: Pool, *, exact: bool) -> dict[str, str]:
    """Record the step of a decoder within a model of another task. Returns how it runs."""
    chosen: dict[str, str] = {}
    if not isinstance(part.whole, TaskModel):
        return chosen
    for module in part.modules():
        if isinstance(module, CausalLM):
            forward = Forward(module, pool, exact=exact)
            module.forward = forward  # type: ignore[method-assign]
            module.step = forward.step  # type: ignore[method-assign]
            chosen[STEP] = "recorded" if forward.why is None else f"{EAGER}{forward.why}"
    return chosen


def _ready(weight: Layout) -> bool:
    """Whether kernels may take its address."""
    if isinstance(weight, Dense):
        return weight.data.is_contiguous()
    return not isinstance(weight, (*PACKABLE, RowGroups))


def _choose(module: Linear | Embedding, exact: bool, pool: Pool) -> str:
    """Put a kernel on a block; returns what it is called."""
    weight: Layout = module.weight
    if isinstance(module, Embedding):
        if isinstance(weight, Grouped):
            module.kernel = embed_grouped
            return "compiled"
        if not isinstance(weight, Interleaved):
            return "compiled" if isinstance(weight, Dense) else "reference"
        module.kernel = embed_packed
        return "compiled"
    module.kernel, called = _multiply(weight, exact, pool)
    return called


def _compile_layers(model: nn.Module, pool: Pool, *, exact: bool) -> None:
    """Put programs where layers of encoders have methods that compute each row by itself."""
    workspace = Workspace(pool, exact=exact)
    for module in model.modules():
        if isinstance(module, EncoderLayer):
            for name in module.by_rows:
                setattr(module, name, RowProgram(module, getattr(module, name), workspace))


def _activate(model: nn.Module, pool: Pool) -> None:
    """Put kernels where blocks hold activation functions."""
    known: list[tuple[Any, str]] = [(ACTIVATIONS[name], to) for name, to in KERNELS.items()]
    known.append((torch.sigmoid, "sigmoid"))
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, ClampedSwiGLU):
                setattr(module, name, join(value, pool))
            for function, kernel in known:
                if value is function:
                    setattr(module, name, activate(kernel, pool, function))


def _choose_stacked(module: StackedLinear, exact: bool, pool: Pool, row_orders: Any) -> str:
    """The same for several matrices in one. row_orders: see `Packed`."""
    weight: Layout = module.weight
    if isinstance(weight, PACKABLE) and can_pack(weight, module.count):
        rows = weight.shape[0] // module.count
        # a kernel's rows go by 16, and each matrix must begin with some of its own
        pieces: list[Any] = [weight] if rows % ROWS == 0 else [
            weight.rows(slice(start, start + rows)) for start in range(0, weight.shape[0], rows)
        ]  # fmt: skip
        slabs = Slabs(sum(tensor.nbytes for tensor in weight.tensors().values()))
        made = tuple(
            Interleaved(replace(pack(piece, pool, slabs), row_orders=row_orders), weight.kind)
            for piece in pieces
        )
        module.weight = made[0] if len(made) == 1 else Apart(made, weight.kind)  # type: ignore[assignment]
    multiply, called = _multiply(module.weight, exact, pool)
    module.kernel = multiply_stacked(multiply)
    return called


def _multiply(weight: Layout, exact: bool, pool: Pool) -> tuple[Multiply, str]:
    if isinstance(weight, (Interleaved, Apart)):
        one = weight if isinstance(weight, Interleaved) else weight.matrices[0]
        plain = exact or one.packed.packing.plain_only
        return multiply_packed(exact, pool), "compiled, f32" if plain else "compiled, int8"
    if isinstance(weight, Grouped):
        called = "compiled, f32" if exact else "compiled, int8"
        return multiply_grouped(exact, pool), called
    if isinstance(weight, Dense) and weight.data.dtype in PLAIN:
        return multiply_dense(exact, pool), "compiled"
    return multiply_decoded(exact, pool), "decoded, then compiled"
