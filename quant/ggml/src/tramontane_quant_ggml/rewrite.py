"""Writing a file before GGUF again, with its matrices in blocks of the third generation.

As rustformers' llm does: header and vocabulary are the source's, quantized are the matrices that
are multiplied with, and of the header only `ftype` changes, to 2000 and the number of the kind.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tramontane.errors import CheckpointError, RequestError, UsageError
from tramontane_quant_gguf.encode.encode import TYPES, encode_blocks

from .container import GgmlCheckpoint
from .header import ALIGNMENT
from .plugin import MAGIC

FILE_TYPES = {"q4_0": 2, "q4_1": 3, "q5_0": 8, "q5_1": 9, "q8_0": 7}
F32, F16 = 0, 1
GPT2 = re.compile(r"model/(wte|lm_head|h\d+/(attn/c_(attn|proj)|mlp/c_(fc|proj))/w)")
"""Of GPT-2; other families' matrices have names that end in `weight`."""
NEIGHBOURS = 64
"""What the columns of Q4_0 and Q4_1 are a multiple of, in files that every tool reads."""


def rewrite(
    source: GgmlCheckpoint,
    out: Path,
    kind: str,
    *,
    scored: bool,
    texts: Sequence[bytes] | None = None,
    tell: Callable[[str], None] = lambda said: None,
) -> tuple[int, int]:
    """Write `out`, and return the bytes of all tensors before and after.

    kind: one of FILE_TYPES. scored: write GGJT 3, whose tokens have scores; else GGML. texts: of
    the vocabulary, in place of the source's. tell: is told what becomes of each tensor.
    Raises UsageError for a source that is quantized, or has scores that the container has not;
    CheckpointError for columns that do not fit; RequestError where `out` cannot be written.
    """
    file, path = source.file, source.header.path
    if out.exists():
        raise RequestError(f"{out} is there already; remove it, or name another")
    quantized = next((each for each in file.tensors.values() if each.type not in (F32, F16)), None)
    if quantized is not None:
        raise UsageError(
            f"{path}: {quantized.name} is quantized already; give a file of F32 or F16"
        )
    if not scored and any(score for _, score in file.vocabulary):
        raise UsageError(f"{path} has scores of tokens, which GGML has not: -c ggjt-v3")
    partial = out.with_name(f"{out.name}.part")
    try:
        with partial.open("wb") as to:
            to.write(_head(source, kind, scored, texts))
            before = after = 0
            for name, each in file.tensors.items():
                quantizes = len(each.shape) == 2 and _multiplied(name, file.family.name)
                weight = source.read(file.family.rename(name)).decode(torch.float32)
                number = TYPES[kind] if quantizes else each.type
                if quantizes:
                    _check(name, each.shape[1], kind, path)
                    data = encode_blocks(weight, kind).tobytes()
                    tell(f"Quantized tensor `{name}` from {each.nbytes} to {len(data)} bytes")
                else:
                    stored = weight if number == F32 else weight.half()
                    data = stored.contiguous().numpy().tobytes()
                    tell(f"Skipped tensor `{name}` ({each.nbytes} bytes)")
                extents = tuple(reversed(each.shape))
                label = name.encode()
                to.write(struct.pack("<3i", len(extents), len(label), number))
                to.write(struct.pack(f"<{len(extents)}i", *extents) + label)
                if scored:
                    to.write(bytes(-to.tell() % ALIGNMENT))
                to.write(data)
                before, after = before + each.nbytes, after + len(data)
            to.flush()
            os.fsync(to.fileno())
        partial.rename(out)
    except OSError as error:
        raise RequestError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return before, after


def _head(source: GgmlCheckpoint, kind: str, scored: bool, texts: Sequence[bytes] | None) -> bytes:
    file = source.file
    head = bytearray(MAGIC["ggjt"] + struct.pack("<i", 3) if scored else MAGIC["ggml"])
    for name, value in file.fields.items():
        value = 2000 + FILE_TYPES[kind] if name == "ftype" else value
        head += struct.pack("<f" if name in file.family.floats else "<i", value)
    if file.family.again:
        head += struct.pack("<i", file.fields["n_vocab"])
    for index, (text, score) in enumerate(file.vocabulary):
        shown = text if texts is None else texts[index]
        head += struct.pack("<i", len(shown)) + shown
        if scored:
            head += struct.pack("<f", score or 0.0)
    return bytes(head)


def _multiplied(name: str, family: str) -> bool:
    if family == "gpt2":
        return GPT2.fullmatch(name) is not None
    return name.endswith("weight")


def _check(name: str, columns: int, kind: str, path: Path) -> None:
    least = NEIGHBOURS if kind in ("q4_0", "q4_1") else 32
    if columns % least:
        raise CheckpointError(f"{path}: {name} has {columns} columns, no multiple of {least}")
