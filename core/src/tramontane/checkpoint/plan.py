"""The memory plan: what the weights and the context will take, compared with what is free."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch

from tramontane import memory
from tramontane.backend import HOST, Device
from tramontane.blocks import CausalLM, MediaLM
from tramontane.blocks.vision import encoding_bytes
from tramontane.engine.kv_cache import bytes_per_token
from tramontane.engine.kv_codes import INT4
from tramontane.engine.state_cache import FEWEST, bytes_per_sequence
from tramontane.errors import ConfigError, NotEnoughMemory
from tramontane.placement.needs import by_memory, needs
from tramontane.placement.placement import Placement
from tramontane.placement.sizes import Sizes

from .checkpoint import DENSE, Header, TensorInfo
from .load_options import LoadOptions

SMALLER = {
    INT4: "",
    **dict.fromkeys((torch.int8, torch.float8_e4m3fn, torch.float8_e5m2), ", --kv-type int4"),
}
"""What a refusal recommends; int8 where nothing is said."""
DEFAULT_CONTEXT = 8192
"""Tokens of context when nobody asks for more: 128k of cache is not what a first try needs."""


@dataclass(frozen=True)
class Beside:
    """What a draft model takes beside the model, in bytes. per_token: of context. context: tokens
    that it can read."""

    path: str
    weights: int
    per_token: int
    overhead: int
    context: int
    vocab_size: int

    @classmethod
    def of(
        cls,
        header: Header,
        model: CausalLM,
        dtype: torch.dtype,
        kv_dtype: torch.dtype,
        options: LoadOptions,
    ) -> Beside:
        sizes = [in_memory(info, dtype, options) for info in header.tensors.values()]
        overhead = max(sizes, default=0) + 2 * FEWEST * bytes_per_sequence(model)
        limit, trained = model.cfg.context_limit, model.cfg.max_position_embeddings
        return cls(
            path=str(header.path),
            weights=sum(sizes),
            per_token=bytes_per_token(model, kv_dtype),
            overhead=overhead,
            context=trained if limit is None else min(trained, limit.tokens),
            vocab_size=model.cfg.vocab_size,
        )


def plan(
    header: Header,
    model: CausalLM,
    device: Device,
    dtype: torch.dtype,
    kv_dtype: torch.dtype,
    options: LoadOptions,
    making: int = 0,
    beside: Beside | None = None,
) -> int:
    """Context length that fits. making: bytes that quantizing takes besides. beside: a draft model
    that is to be loaded next.

    Raises NotEnoughMemory before a weight is read.
    """
    weights = sum(in_memory(info, dtype, options) for info in header.tensors.values())
    widest = max((in_memory(info, dtype, options) for info in header.tensors.values()), default=0)
    per_token = bytes_per_token(model, kv_dtype)
    asked = context_asked(header, model, options)
    free = device.memory_free
    # beside the weights: what translating the widest tensor takes, and the last layer's logits
    overhead = making + widest + device.reserve + logits_bytes(model)
    overhead += FEWEST * bytes_per_sequence(model)
    images = media_bytes(model, options)
    overhead += images
    drafting = 0
    if beside is not None:
        drafting = beside.weights + beside.overhead
        overhead += drafting
        per_token += beside.per_token
    room = free - weights - overhead
    if options.force or room >= asked * per_token:
        return asked
    if options.num_ctx is None and room >= min(512, asked) * per_token:
        return max(16, room // per_token // 16 * 16)
    need = weights + overhead + asked * per_token
    cached = less = ""
    if beside is not None:
        cached = f", {memory.readable(drafting)} for the draft model {beside.path}"
        less = ", a smaller draft model or none (--draft),"
    if images:
        cached += f", {memory.readable(images)} for images (media_cache)"
    if per_token:
        cached += f", {memory.readable(asked * per_token)} for a context of {asked}"
        smaller = SMALLER.get(kv_dtype, ", --kv-type int8")
        less += f"{'' if less else ','} a shorter context (--num-ctx){smaller},"
    raise NotEnoughMemory(
        f"{header.path} needs {memory.readable(need)} ({memory.readable(weights)} of "
        f"weights{cached}), and {memory.readable(free)} are free on {device.name}; use a smaller "
        f"quantization{less} or --force to try all the same"
    )


def context_asked(header: Header, model: CausalLM, options: LoadOptions) -> int:
    """Tokens of context that are wanted. Raises ConfigError for what cannot be."""
    trained, limit = model.cfg.max_position_embeddings, model.cfg.context_limit
    asked = options.num_ctx or min(trained, DEFAULT_CONTEXT, *(limit[:1] if limit else ()))
    if limit is not None and asked > limit.tokens:
        raise ConfigError(
            f"a context of {asked} tokens is too long for {header.path}: {limit.reason}; give "
            f"--num-ctx {limit.tokens} or less"
        )
    if options.num_ctx is not None and options.num_ctx <= 0:
        raise ConfigError(f"a context of {options.num_ctx} tokens is too short")
    return int(asked)


def logits_bytes(model: CausalLM) -> int:
    """Bytes of the last layer's logits."""
    return 512 * model.cfg.vocab_size * 4


def media_bytes(model: CausalLM, options: LoadOptions) -> int:
    """Bytes of encoded media, and of encoding."""
    return options.media_cache + encoding_bytes(model) if isinstance(model, MediaLM) else 0


def plan_parts(
    header: Header,
    model: CausalLM,
    placement: Placement,
    sizes: Sizes,
    options: LoadOptions,
    making: int = 0,
) -> int:
    """Context length that fits on every device of a placement. making: bytes that quantizing takes
    besides, on the processor.

    Raises NotEnoughMemory, which names the device.
    """
    asked = context_asked(header, model, options)
    found = needs(placement, sizes, logits_bytes(model) + media_bytes(model, options))
    least = asked
    for memory_name, indices in by_memory(placement, found).items():
        device = placement.devices[indices[0]][0]
        free = device.memory_free - (making if memory_name == HOST else 0)
        per_token = sum(found[index].per_token for index in indices)
        room = free - sum(found[index].total(0) for index in indices)
        if options.force or room >= asked * per_token:
            continue
        if options.num_ctx is None and room >= min(512, asked) * per_token:
            least = min(least, max(16, room // per_token // 16 * 16))
            continue
        need = sum(found[index].total(asked) for index in indices)
        weights = sum(found[index].weights for index in indices)
        names = " and ".join(placement.devices[index][0].name for index in indices)
        holds = "; ".join(placement.said(index) for index in indices)
        context = memory.readable(asked * per_token)
        cached = f", {context} for a context of {asked}" if per_token else ""
        raise NotEnoughMemory(
            f"{names} ({holds}) would hold {memory.readable(need)} of {header.path} "
            f"({memory.readable(weights)} of weights{cached}), and {memory.readable(free)} are "
            "free there; put fewer layers on it (--gpu-layers, --device-map), experts on the "
            "processor (--n-cpu-moe), use a smaller quantization, a shorter context (--num-ctx), "
            "or --force to try all the same"
        )
    return least


def in_memory(info: TensorInfo, dtype: torch.dtype, options: LoadOptions) -> int:
    """Bytes of a tensor once it is loaded: dense ones are converted when a dtype is asked for."""
    if options.dtype == "auto" or info.stored.lower() not in DENSE:
        return info.held
    return prod(info.shape) * dtype.itemsize
