"""A tiny model in each container, for the conformance kit to load, run and damage."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .plugin import MAGIC

HIDDEN, INNER, HEADS, LAYERS = 64, 256, 4, 2
VERSION = {"ggml": b"", "ggmf": struct.pack("<i", 1), "ggjt": struct.pack("<i", 3)}
WORDS = (b"th", b"the", b"he", b"in", b"an", b"and", b" a", b" t", b" th", b" the", b" an")
F32, Q4_0, Q8_0 = 0, 2, 8


def write_ggml(folder: Path) -> Path:
    """Write a llama of two layers with blocks of the first generation and no scores."""
    return write(folder / "sample.bin", "ggml")


def write_ggmf(folder: Path) -> Path:
    """The same with scores."""
    return write(folder / "sample.bin", "ggmf")


def write_ggjt(folder: Path) -> Path:
    """The same with blocks of the third generation, aligned."""
    return write(folder / "sample.bin", "ggjt")


def write(path: Path, container: str, *, packed: bool = True) -> Path:
    """The same bytes every time. packed: with blocks; else all is float32."""
    pieces = list(_pieces())
    kinds = HIDDEN // HEADS, Q4_0 if packed else F32
    header = (len(pieces), HIDDEN, 256, HEADS, LAYERS, *kinds)
    data = bytearray(MAGIC[container] + VERSION[container] + struct.pack("<7i", *header))
    for rank, text in enumerate(pieces):
        data += struct.pack("<i", len(text)) + text
        if container != "ggml":
            data += struct.pack("<f", -float(rank))
    for name, numbers in _tensors(len(pieces)):
        plain = numbers.ndim == 1 or not packed
        kind = F32 if plain else Q8_0 if name == "output.weight" else Q4_0
        extents = numbers.shape[::-1]
        data += struct.pack(f"<3i{len(extents)}i", len(extents), len(name), kind, *extents)
        data += name.encode()
        if container == "ggjt":
            data += bytes(-len(data) % 32)
        data += _encoded(numbers, kind, "<f2" if container == "ggjt" else "<f4")
    path.write_bytes(data)
    return path


def _pieces() -> Iterator[bytes]:
    yield from (" \u2047 ".encode(), b"", b"")
    yield from (bytes([byte]) for byte in range(256))
    yield from WORDS
    yield from (bytes([letter]) for letter in b" abcdefghijklmnopqrstuvwxyz")


def _tensors(rows: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return random.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)

    yield "tok_embeddings.weight", matrix(rows, HIDDEN)
    yield "norm.weight", np.ones(HIDDEN, np.float32)
    yield "output.weight", matrix(rows, HIDDEN)
    for index in range(LAYERS):
        for name in ("attention_norm", "ffn_norm"):
            yield f"layers.{index}.{name}.weight", np.ones(HIDDEN, np.float32)
        for name in "qkvo":
            yield f"layers.{index}.attention.w{name}.weight", matrix(HIDDEN, HIDDEN)
        for name, shape in (
            ("w1", (INNER, HIDDEN)),
            ("w2", (HIDDEN, INNER)),
            ("w3", (INNER, HIDDEN)),
        ):
            yield f"layers.{index}.feed_forward.{name}.weight", matrix(*shape)


def _encoded(numbers: NDArray[np.float32], kind: int, scales: str) -> bytes:
    """As blocks of 32; float32 scales go with codes in pairs, float16 ones with halves."""
    if kind == F32:
        return numbers.tobytes()
    blocks = numbers.reshape(-1, 32)
    steps = 127 if kind == Q8_0 else 7
    scale = (np.abs(blocks).max(1, keepdims=True) / steps).astype(scales)
    codes = np.clip(np.rint(blocks / scale.astype(np.float32)), -steps - 1, steps).astype(np.int8)
    if kind == Q4_0:
        nibbles = (codes + 8).astype(np.uint8)
        paired = scales == "<f4"
        low = nibbles[:, ::2] if paired else nibbles[:, :16]
        high = nibbles[:, 1::2] if paired else nibbles[:, 16:]
        packed = (low | high << 4).astype(np.uint8)
        return np.concatenate([scale.view(np.uint8), packed], axis=1).tobytes()
    return np.concatenate([scale.view(np.uint8), codes.view(np.uint8)], axis=1).tobytes()
