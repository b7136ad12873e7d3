"""MISTRALRS_DEBUG: the tensors of a model's file, on a line each."""

from __future__ import annotations

from pathlib import Path

from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry


def write_tensors(path: Path, registry: Registry) -> Path:
    """Write names, shapes and types to mistralrs_gguf_tensors.txt or mistralrs_ggml_tensors.txt in
    the current folder, and return that path."""
    tensors = open_checkpoint(path, registry).header.tensors
    out = Path(f"mistralrs_{'gguf' if path.suffix == '.gguf' else 'ggml'}_tensors.txt")
    lines = (f"{name} {list(info.shape)} {info.stored}" for name, info in tensors.items())
    out.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return out
