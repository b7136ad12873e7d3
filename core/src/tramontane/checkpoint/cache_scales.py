"""Scales of keys and values that checkpoints bring, for caches of 8-bit floats.

A cache keeps round(key / scale) as a float of 8 bits, and what is read is that times the scale; the
same of values. Tensors, one number each: `self_attn.k_scale` and `v_scale` of a layer, which may
lie below k_proj and v_proj, `attn` or `qkv_proj`; or `kv_scale` for both. As vLLM has them: one of
zero or less, and one that is missing, is 1.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping

import torch
from torch import nn

from tramontane.blocks import Attention
from tramontane.errors import CheckpointError

from .checkpoint import Checkpoint

log = logging.getLogger(__name__)
NAME = re.compile(
    r"(?:model\.|language_model\.)*layers\.(\d+)\.self_attn\."
    r"(?:attn\.|qkv_proj\.|[kv]_proj\.)?(k|v|kv)_scale"
)


def use_cache_scales(checkpoint: Checkpoint, model: nn.Module, stored: torch.dtype) -> None:
    """Give each layer's attention the scales that the checkpoint has for it. stored: what the cache
    keeps; checkpoints have scales for float8_e4m3fn, and other types need none.

    Raises CheckpointError for scales that are no single positive number.
    """
    if stored is not torch.float8_e4m3fn or not _of_floats(checkpoint):
        return
    found: dict[int, dict[str, float]] = {}
    for name in checkpoint.header.tensors:
        if parts := NAME.fullmatch(name):
            found.setdefault(int(parts[1]), {})[parts[2]] = _number(checkpoint, name)
    used = set()
    for module in model.modules():
        if isinstance(module, Attention) and (scales := found.get(module.index)):
            both = scales.get("kv", 1.0)
            module.cache_scales = (scales.get("k", both), scales.get("v", both))
            used.add(module.index)
    if unused := sorted(found.keys() - used):
        log.warning(
            "%s: the scales of keys and values of layer %d are not used: its attention has none",
            checkpoint.header.path, unused[0],
        )  # fmt: skip


def _of_floats(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint's scales are of floats: those of whole numbers mean other codes."""
    told = checkpoint.header.config.get("quantization_config")
    scheme = told.get("kv_cache_scheme") if isinstance(told, Mapping) else None
    return not isinstance(scheme, Mapping) or scheme.get("type", "float") == "float"


def _number(checkpoint: Checkpoint, name: str) -> float:
    told = checkpoint.read(name).decode(torch.float32).flatten()
    if told.numel() != 1:
        raise CheckpointError(
            f"{checkpoint.header.path}: {name} has {told.numel()} numbers, and a cache of 8-bit "
            "floats has one scale for a layer; load it with another --kv-type, such as int8"
        )
    scale = told.item()
    if not math.isfinite(scale):
        raise CheckpointError(f"{checkpoint.header.path}: {name} is {scale}, which scales nothing")
    return scale if scale > 0 else 1.0
