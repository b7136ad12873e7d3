"""Halves of layers by few kernels: norms, queries with keys and values, gated halves, experts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import (
    ACTIVATIONS,
    Attention,
    ClampedSwiGLU,
    Experts,
    GatedMLP,
    HeadNorm,
    LayerNorm,
    RMSNorm,
    Rope,
)
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import LayerCache

from .kernel_call import KINDS, Kernels
from .merging import Together
from .plan import plan_of
from .products import multiply_operand

CLAMPED = 6
"""The number of `ClampedSwiGLU` among activations."""


def normalized(module: Any, kernels: Kernels) -> Callable[[Tensor], Tensor] | None:
    """A drop-in for the forward of a norm whose class is the blocks' own; None: another one."""
    center = type(module) is LayerNorm or (type(module) is HeadNorm and module.center)
    if type(module) not in (RMSNorm, LayerNorm, HeadNorm):
        return None
    if module.weight is None or module.weight.dim() != 1:
        return None
    bias = getattr(module, "bias", None)
    if type(module) is HeadNorm and center:  # which rounds once, behind its weight
        return None

    def forward(x: Tensor) -> Tensor:
        x, columns = x.contiguous(), x.shape[-1]
        out = torch.empty_like(x)
        kernels.run(
            "norm", (x.numel() // columns,),
            (x, out, module.weight, module.weight if bias is None else bias, columns, columns,
             float(module.eps)),
            X=KINDS[x.dtype], W=KINDS[module.weight.dtype], CENTER=center, WEIGHTED=True,
            BIASED=bias is not None,
        )  # fmt: skip
        return out

    return forward


def head_norm_of(module: Any) -> tuple[int, Tensor | None, float] | None:
    """A norm of queries or keys as the kernel has it: 0 none, 1 one weight, 2 each head its own.
    None: another one."""
    if module is None:
        return 0, None, 0.0
    known = type(module) is RMSNorm or (type(module) is HeadNorm and not module.center)
    if not known or module.weight is None:
        return None
    return module.weight.dim(), module.weight, module.eps


def attended(
    module: Attention, joint: Together, kernels: Kernels
) -> Callable[[Tensor, Batch], Tensor] | None:
    """A drop-in for `Attention.forward`: one product, and one kernel for norms, rotation and the
    cache. None: the module does something else in between."""
    own = type(module)
    changed = (own.forward, own.project, own.keep) != (
        Attention.forward, Attention.project, Attention.keep,
    )  # fmt: skip
    of_q, of_k = head_norm_of(module.q_norm), head_norm_of(module.k_norm)
    rope = module.rope
    if changed or of_q is None or of_k is None:
        return None
    if rope is not None and type(rope).__call__ is not Rope.__call__:
        return None
    plain = module.forward
    (norm_q, q_weight, q_eps), (norm_k, k_weight, k_eps) = of_q, of_k
    d, heads, kv_heads = module.d_head, module.heads, module.kv_heads

    def forward(x: Tensor, batch: Batch) -> Tensor:
        if batch.adapted or batch.adapters or batch.placed or not joint.holds:
            return plain(x, batch)
        y = multiply_operand(x, joint.operand, kernels)
        if joint.bias is not None:
            y = y + joint.bias
        cache, plan = batch.cache.layers[module.index], plan_of(batch)
        cached = type(cache) is LayerCache and module.cache_scales == (1.0, 1.0)
        tokens, width = y.shape
        q = y.new_empty(tokens, heads, d)
        if cached:
            k, v = cache.keys, cache.values
            slots, pages = plan.slots(cache), (k.stride(0), v.stride(0))
        else:
            k, v = (y.new_empty(tokens, kv_heads, d) for _ in range(2))
            slots, pages = plan.about, (0, 0)
        cos = sin = y
        if rope is not None:
            cos, sin = plan.angles(rope)
        weights = q_weight if q_weight is not None else k_weight if k_weight is not None else y
        kernels.run(
            "heads", (tokens, heads + 2 * kv_heads),
            (y, y, y, q, k, v, cos, sin, weights if q_weight is None else q_weight,
             weights if k_weight is None else k_weight, slots, width, width, width, heads * d,
             (heads + kv_heads) * d, *pages, float(q_eps), float(k_eps)),
            HEADS=heads, KV_HEADS=kv_heads, D=d, DIM=0 if rope is None else rope.dim,
            NORM_Q=norm_q, NORM_K=norm_k, CACHED=cached, X=KINDS[y.dtype],
            K=KINDS[k.dtype], W=KINDS[weights.dtype],
        )  # fmt: skip
        if not cached:
            module.keep(k, v, batch)
        gate = None if module.gate_proj is None else torch.sigmoid(module.gate_proj(x))
        return module.mix(q, batch, gate)

    return forward


def activation_of(act: Any, glu: Any) -> tuple[int, tuple[float, float, float]] | None:
    """An activation as the kernel numbers it, with a clamped one's numbers; None: another one."""
    if isinstance(glu, ClampedSwiGLU):
        return CLAMPED, (glu.limit, glu.alpha, glu.shift)
    if glu is not None:
        return None
    if isinstance(act, partial):
        tanh = act.func is F.gelu and act.keywords == {"approximate": "tanh"} and not act.args
        return (2, (0.0, 0.0, 0.0)) if tanh else None
    names = ("silu", "gelu", None, "relu", "relu2", "quick_gelu")
    for number, name in enumerate(names):
        if name is not None and act is ACTIVATIONS[name]:
            return number, (0.0, 0.0, 0.0)
    return None


def gate_and_up(
    module: GatedMLP, joint: Together, kernels: Kernels
) -> Callable[[Tensor], Tensor] | None:
    """A drop-in for `GatedMLP.forward`: one product for gate and up, one kernel for what becomes of
    them. None: its activation is another one."""
    found = activation_of(module.act, module.glu)
    if type(module).forward is not GatedMLP.forward or found is None:
        return None
    number, numbers = found
    plain = module.forward

    def forward(x: Tensor) -> Tensor:
        if not joint.holds:
            return plain(x)
        y = multiply_operand(x, joint.operand, kernels)
        if joint.bias is not None:
            y = y + joint.bias
        tokens, width = y.shape[0], y.shape[1] // 2
        out = y.new_empty(tokens, width)
        run = kernels.sizes.run
        kernels.run(
            "gated", (-(-width // run), tokens), (y, out, width, *map(float, numbers)),
            X=KINDS[y.dtype], ACT=number, EACH=run,
        )  # fmt: skip
        down: Tensor = module.down_proj(out)
        return down

    return forward


def mixture(experts: Experts, kernels: Kernels) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A drop-in for `Experts.forward`: rows are sorted by expert on the processor, from numbers
    that are read once; all products and sums are on the device."""
    biased = any(matrix.bias is not None for matrix in experts.matrices)

    def forward(x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        tokens, k = chosen.shape
        flat = chosen.cpu().numpy().reshape(-1)
        order = np.argsort(flat, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        counts = torch.from_numpy(np.bincount(flat, minlength=experts.count))
        rows = torch.from_numpy(order // k).to(x.device)
        y = experts.through(x[rows], counts.to(x.device) if biased else counts)
        out = torch.empty_like(x)
        run, width = kernels.sizes.run, x.shape[1]
        kernels.run(
            "combine", (-(-width // run), tokens),
            (y, weights.contiguous(), torch.from_numpy(place.astype(np.int32)).to(x.device), out,
             k, width),
            X=KINDS[x.dtype], W=KINDS[weights.dtype], EACH=run,
        )  # fmt: skip
        return out

    return forward


def linears_of(module: nn.Module) -> list[Any]:
    """The linear layers of a module that read its input and can be one product."""
    if isinstance(module, Attention) and hasattr(module, "k_proj"):
        return [module.q_proj, module.k_proj, module.v_proj]
    return [module.gate_proj, module.up_proj] if isinstance(module, GatedMLP) else []
