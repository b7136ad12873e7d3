"""A LoRA adapter in a GGUF file, as llama.cpp's convert_lora_to_gguf.py writes it.

    general.type "adapter" | general.architecture as the model's | adapter.type "lora"
    adapter.lora.alpha     a number; 0 or none: products are not scaled
    NAME.lora_a            (rank, columns) of the model's tensor NAME, "blk.0.attn_q.weight"
    NAME.lora_b            (rows, rank); experts' have their number in front of both

What is added is alpha / rank * b @ a. The table token_embd.weight has a as (vocabulary, rank) and b
as (hidden, rank): a @ b.T. Rows of b are permuted as those of the model's own matrices are. Norms
may be there whole, and take the place of the model's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tramontane.adapters.stored import Delta, StoredAdapter
from tramontane.errors import AdapterError
from tramontane.layouts.low_rank import LowRank
from tramontane.sanitize import one_line

from tramontane_quant_gguf.container import FLOATS
from tramontane_quant_gguf.formats.table import FORMATS
from tramontane_quant_gguf.header import FileHeader, Stretch, read_header, scalar
from tramontane_quant_gguf.mapped import Mapped
from tramontane_quant_gguf.names import DECODER
from tramontane_quant_gguf.types import STORED

FIRST, SECOND = ".lora_a", ".lora_b"
TABLE = "token_embd.weight"
ALPHA, INVOCATION = "adapter.lora.alpha", "adapter.alora.invocation_tokens"


def read_adapter(path: Path) -> StoredAdapter:
    """The adapter of a file, or of the only GGUF file of a folder.

    Raises AdapterError, CheckpointError.
    """
    path = _file(path)
    mapped = Mapped(path)
    try:
        header = read_header(mapped.buffer, path)
        alpha = _alpha(header)
        pairs, values = _sorted(header, mapped)
    finally:
        mapped.close()
    deltas = {name: Delta(_matrix(path, name, parts, alpha)) for name, parts in pairs.items()}
    if not (deltas or values):
        raise AdapterError(f"{path} has no tensors of an adapter")
    base = header.metadata.get("general.base_model.0.name")
    return StoredAdapter(
        deltas, values, dialect="gguf", names=DECODER, base=base if isinstance(base, str) else ""
    )


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.gguf"))
    if len(found) != 1:
        raise AdapterError(f"{path} has {len(found)} GGUF files: name one of them")
    return found[0]


def _alpha(header: FileHeader) -> float:
    """Raises AdapterError for files that are no LoRA adapters."""
    path, told = header.path, header.metadata
    if told.get("general.type") != "adapter":
        raise AdapterError(f"{path} is no adapter: its general.type is not 'adapter'")
    if told.get("adapter.type") != "lora":
        kind = one_line(repr(told.get("adapter.type")), 40)
        raise AdapterError(f"{path}: adapter.type {kind} is not supported; 'lora' is")
    if INVOCATION in told:
        raise AdapterError(f"{path}: {INVOCATION} is not supported; train without it")
    alpha = scalar(told, ALPHA, path)
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if alpha is not None and not (number and math.isfinite(alpha) and alpha >= 0):
        raise AdapterError(f"{path}: {ALPHA} should be a number from 0 on, not {alpha!r:.40}")
    return float(alpha or 0)


def _sorted(
    header: FileHeader, mapped: Mapped
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """Both parts of each matrix by its name, and the tensors that are whole."""
    pairs: dict[str, dict[str, Tensor]] = {}
    values: dict[str, Tensor] = {}
    for name, stretch in header.tensors.items():
        stem, dot, part = name.rpartition(".")
        if f"{dot}{part}" in (FIRST, SECOND):
            pairs.setdefault(stem, {})[f"{dot}{part}"] = _tensor(header.path, stretch, mapped)
        elif name.endswith("_norm.weight"):
            values[name] = _tensor(header.path, stretch, mapped)
        else:
            raise AdapterError(
                f"{header.path}: {one_line(name, 120)} is neither a {FIRST} nor a {SECOND}, nor "
                "the weight of a norm"
            )
    return pairs, values


def _tensor(path: Path, stretch: Stretch, mapped: Mapped) -> Tensor:
    stored = STORED[stretch.type].name
    if stretch.big_endian:
        raise AdapterError(f"{path}: adapters in big-endian files are not supported")
    if stored in FLOATS:
        data = mapped.tensor(FLOATS[stored], stretch.start, stretch.nbytes).float().clone()
    elif stretch.type in FORMATS:
        raw = mapped.stretch(stretch.start, stretch.nbytes)
        rows = math.prod(stretch.shape[:-1])
        layout: Any = FORMATS[stretch.type][3](raw, rows, stretch.shape[-1])
        data = layout.decode(torch.float32)
    else:
        raise AdapterError(f"{path}: {one_line(stretch.name, 120)} holds {stored}, not weights")
    if not data.isfinite().all():
        raise AdapterError(f"{path}: {one_line(stretch.name, 120)} has numbers that are not finite")
    return data.reshape(stretch.shape)


def _matrix(path: Path, name: str, parts: Mapping[str, Tensor], alpha: float) -> LowRank:
    shown = one_line(name, 120)
    for part in (FIRST, SECOND):
        if part not in parts:
            raise AdapterError(f"{path}: {shown} has no {part}")
    first, second = parts[FIRST], parts[SECOND]
    if name == TABLE:
        first = first.mT
    fits = first.dim() == second.dim() and first.dim() in (2, 3)
    if not fits or first.shape[:-2] != second.shape[:-2] or first.shape[-2] != second.shape[-1]:
        raise AdapterError(
            f"{path}: {shown}: {FIRST} is {tuple(parts[FIRST].shape)} and {SECOND} "
            f"{tuple(second.shape)}, which are no (rank, columns) and (rows, rank)"
        )
    rank = first.shape[-2]
    second = second * (alpha / rank if alpha else 1.0)
    if name == TABLE:
        return LowRank(first.mT.contiguous(), second.mT.contiguous())
    if first.dim() == 2:
        return LowRank(second, first)
    group = torch.arange(len(second)).repeat_interleave(second.shape[1])
    return LowRank(second.flatten(0, 1), first.flatten(0, 1), group)
