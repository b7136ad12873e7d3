"""Safetensors files written tensor by tensor, so that none has to fit into memory.

A file is eight bytes with the header's length, the header in JSON, and the tensors' bytes. The
header comes first and is known last: room is kept for it, and filled up with spaces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

SHARD = 5_000_000_000
"""Bytes of a file of several."""
ROOM = 1 << 20
"""Bytes that are kept for a header at most; 4000 tensors and more fit."""
EACH = 256
"""Bytes that a tensor takes in a header, its name included, if that is not longer than any."""
NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
    torch.bool: "BOOL", torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64",
}  # fmt: skip


class ShardWriter:
    """A folder's model.safetensors, or several with an index once there are more than `shard`
    bytes. count: about how many tensors there will be."""

    def __init__(self, folder: Path, count: int, shard: int = SHARD) -> None:
        self._folder, self._shard = folder, shard
        self._room = min(ROOM, 4096 + EACH * count)
        self._file: BinaryIO | None = None
        self._entries: dict[str, Any] = {}
        self._size = self._total = self._described = 0
        self._parts: list[list[str]] = []

    def add(self, name: str, tensor: Tensor) -> None:
        """Append a tensor. Raises OSError where the disk is full."""
        data = tensor.detach().contiguous()
        entry = {
            "dtype": NAMES[data.dtype],
            "shape": list(data.shape),
            "data_offsets": [self._size, self._size + data.nbytes],
        }
        described = len(json.dumps({name: entry})) + 32
        full = self._size and self._size + data.nbytes > self._shard
        if self._file is None or full or self._described + described > self._room:
            self._finish()
            self._begin(described)
            entry["data_offsets"] = [0, data.nbytes]
        assert self._file is not None
        self._file.write(data.reshape(-1).view(torch.uint8).numpy().data)
        self._entries[name] = entry
        self._described += described
        self._size += data.nbytes
        self._total += data.nbytes

    def state(self) -> dict[str, Any]:
        """What `resume` needs to go on behind the tensors that are written, for JSON."""
        return {
            "room": self._room, "entries": self._entries, "size": self._size,
            "total": self._total, "described": self._described, "parts": self._parts,
            "open": self._file is not None,
        }  # fmt: skip

    def resume(self, state: Mapping[str, Any]) -> bool:
        """Go on where another writer of this folder was. Whether its files are there."""
        parts = state["parts"]
        last = self._part(len(parts))
        needed = 8 + state["room"] + state["size"] if state["open"] else 0
        there = all(self._part(index).exists() for index in range(len(parts)))
        if not there or (needed and (not last.exists() or last.stat().st_size < needed)):
            return False
        self._room, self._entries, self._size = state["room"], state["entries"], state["size"]
        self._total, self._described = state["total"], state["described"]
        self._parts = [list(part) for part in parts]
        if needed:
            self._file = last.open("r+b")
            self._file.truncate(needed)
            self._file.seek(needed)
        return True

    def sync(self) -> None:
        """Put what is written so far on the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def leave(self) -> None:
        """Let go of the file that is being written, as it is."""
        if self._file is not None:
            self._file.close()

    def close(self, metadata: Mapping[str, str]) -> list[Path]:
        """Write headers and, of several files, the index. metadata: for the index."""
        self._finish()
        count = len(self._parts)
        names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
        if count == 1:
            names = ["model.safetensors"]
        for number, name in enumerate(names):
            self._part(number).rename(self._folder / name)
        if count > 1:
            table = {
                tensor: name
                for name, part in zip(names, self._parts, strict=True)
                for tensor in part
            }
            index = {"metadata": {"total_size": self._total, **metadata}, "weight_map": table}
            text = json.dumps(index, indent=2)
            (self._folder / "model.safetensors.index.json").write_text(text + "\n", "utf-8")
        return [self._folder / name for name in names]

    def _part(self, index: int) -> Path:
        return self._folder / f"part-{index}"

    def _begin(self, described: int) -> None:
        self._room = max(self._room, 4096 + described)
        self._file = self._part(len(self._parts)).open("wb")
        self._file.write(bytes(8 + self._room))
        self._entries, self._size, self._described = {}, 0, 64

    def _finish(self) -> None:
        if self._file is None:
            return
        header = json.dumps({"__metadata__": {"format": "pt"}, **self._entries}).encode()
        assert len(header) <= self._room
        self._file.seek(0)
        self._file.write(self._room.to_bytes(8, "little") + header.ljust(self._room))
        self.sync()
        self._file.close()
        self._file = None
        self._parts.append(list(self._entries))
