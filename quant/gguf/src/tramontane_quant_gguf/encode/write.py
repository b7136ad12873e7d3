"""Writing a model as a GGUF file with quantized matrices: from another GGUF file, from a folder, or
from a container that tells its metadata in GGUF's words.

Of a GGUF file the metadata are the source's, byte by byte, but for what says how it is quantized
and split. One matrix at a time is in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError, UsageError

from tramontane_quant_gguf.container import GgufCheckpoint
from tramontane_quant_gguf.formats.table import FORMATS
from tramontane_quant_gguf.from_folder.convert import FolderModel
from tramontane_quant_gguf.names import CONSUMED
from tramontane_quant_gguf.second_scales import NVFP4
from tramontane_quant_gguf.types import STORED
from tramontane_quant_gguf.writer import ALIGNMENT, Value, header_bytes, pair_bytes

from .encode import TYPES, encode_blocks
from .mixtures import FILE_TYPES, PLAIN_KINDS, Model, types_of

REPLACED = ("general.file_type", "general.quantization_version", "general.alignment")
PLAIN = {0: torch.float32, 1: torch.float16, 30: torch.bfloat16}
NUMBERS = {stored.name: number for number, stored in STORED.items()}


class Given(Protocol):
    """A model that is to be written. tensors: in the file's order."""

    tensors: dict[str, TensorInfo]

    def pairs(self) -> list[bytes]:
        """The metadata, but for what is replaced."""
        ...

    def read(self, name: str) -> Tensor:
        """One tensor in float32, of its shape."""
        ...

    def raw(self, name: str) -> bytes | None:
        """Its bytes, where they lie there in its type."""
        ...

    def importance(self, name: str) -> Tensor | None: ...

    def settle(self, types: dict[str, int]) -> None:
        """Add what depends on the types that the tensors get."""
        ...


class _File:
    """Another GGUF file."""

    def __init__(self, source: Any) -> None:
        self._source, self._checkpoint = source, source.checkpoint
        self.tensors: dict[str, TensorInfo] = dict(source.header.tensors)
        for name in CONSUMED:
            if (stored := self._checkpoint.info(name)) is not None:
                self.tensors[name] = stored

    def pairs(self) -> list[bytes]:
        return [
            pair for key, pair in self._checkpoint.pairs()
            if key not in REPLACED and not key.startswith("split.")
        ]  # fmt: skip

    def settle(self, types: dict[str, int]) -> None:
        for name, others in self._checkpoint.companions.items():
            # a matrix of another type is read with its second scale, and needs it no more
            if types[name] == NVFP4:
                for each in others:
                    if (stored := self._checkpoint.info(each)) is not None:
                        self.tensors[each], types[each] = stored, NUMBERS[stored.stored]

    def read(self, name: str) -> Tensor:
        weight: Tensor = self._source.read(name)
        return weight

    def raw(self, name: str) -> bytes | None:
        return bytes(self._checkpoint.raw(name))

    def importance(self, name: str) -> Tensor | None:
        found: Tensor | None = self._source.importance.get(name)
        return found


class _Folder(FolderModel):
    def pairs(self) -> list[bytes]:
        return [pair_bytes(key, value) for key, value in self.metadata.items()]

    def settle(self, types: dict[str, int]) -> None:
        pass

    def raw(self, name: str) -> bytes | None:
        return None


@runtime_checkable
class RestatesGguf(Protocol):
    """What a checkpoint of another container has whose tensors may have GGUF's names and order;
    where its header's dialect is another, it is written as a folder is."""

    def gguf_metadata(self) -> Mapping[str, Value]:
        """All pairs. Raises UsageError where GGUF has no words for the model."""
        ...

    def gguf_bytes(self, name: str) -> bytes | None:
        """A tensor's bytes where they are those of a GGUF file."""
        ...


class _Restated:
    """A container of another kind."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.tensors: dict[str, TensorInfo] = dict(source.header.tensors)
        self._metadata = source.checkpoint.gguf_metadata()

    def pairs(self) -> list[bytes]:
        return [pair_bytes(key, value) for key, value in self._metadata.items()]

    def settle(self, types: dict[str, int]) -> None:
        pass

    def read(self, name: str) -> Tensor:
        weight: Tensor = self._source.read(name)
        return weight

    def raw(self, name: str) -> bytes | None:
        found: bytes | None = self._source.checkpoint.gguf_bytes(name)
        return found

    def importance(self, name: str) -> Tensor | None:
        found: Tensor | None = self._source.importance.get(name)
        return found


def write(source: Any, path: Path, kind: str, progress: Callable[[int, int], None]) -> None:
    """Write a model. source: a `tramontane.quantizing.source.QuantizeSource`.

    Raises UsageError for an unknown kind, and for a source that is neither a GGUF file nor a
    folder of a family that has such files; CheckpointError for a model that they cannot describe.
    """
    given = _given(source)
    types = _types(source, given.tensors, kind)
    given.settle(types)
    pairs = given.pairs()
    told = {"general.file_type": FILE_TYPES[kind], "general.quantization_version": 2}
    pairs += [pair_bytes(key, number) for key, number in told.items()]
    entries = [
        (name, types[name], info.shape, _size(types[name], info))
        for name, info in given.tensors.items()
    ]
    header = header_bytes(pairs, entries)
    sizes = [size + -size % ALIGNMENT for *_, size in entries]
    partial = getattr(source, "partial", None)
    begun = _begun(partial, path, header, sizes)
    infos = list(given.tensors.items())
    done, total = (sum(info.nbytes for _, info in part) for part in (infos[:begun], infos))
    with path.open("r+b" if begun else "wb") as file:
        if begun:
            file.seek(len(header) + sum(sizes[:begun]))
            file.truncate()
        else:
            file.write(header)

        def sync() -> None:
            file.flush()
            os.fsync(file.fileno())

        for index, (name, info) in enumerate(infos[begun:], begun + 1):
            data = _data(given, name, info, types[name])
            file.write(data)
            file.write(bytes(-len(data) % ALIGNMENT))
            done += info.nbytes
            if partial is not None and partial.due(info.nbytes):
                sync()
                partial.record(index)
            progress(done, total)
        sync()


def _begun(partial: Any, path: Path, header: bytes, sizes: list[int]) -> int:
    """How many tensors an interrupted run has written."""
    if partial is None or not partial.state:
        return 0
    done = int(partial.state["done"])
    with path.open("rb") as file:
        same = file.read(len(header)) == header
    if not same or path.stat().st_size < len(header) + sum(sizes[:done]):
        partial.anew("what had been written is damaged")
        return 0
    return done


def _given(source: Any) -> Given:
    if isinstance(source.checkpoint, GgufCheckpoint):
        return _File(source)
    if isinstance(source.checkpoint, RestatesGguf) and source.header.dialect == "gguf":
        return _Restated(source)
    if source.header.dialect != "hf" or getattr(source, "built", None) is None:
        raise UsageError(
            f"{source.header.path} is neither a GGUF file nor a folder of safetensors, and only of "
            "those GGUF files are made; quantize the original model"
        )
    return _Folder(source)


def _types(source: Any, tensors: Mapping[str, TensorInfo], kind: str) -> dict[str, int]:
    """The type's number of every tensor."""
    config = source.config
    heads = config.get("num_attention_heads") or 1
    experts = next((config[key] for key in EXPERTS if config.get(key)), 0)
    model = Model(
        {name: info.shape for name, info in tensors.items()},
        int(heads) // int(config.get("num_key_value_heads") or heads),
        int(experts),
    )
    try:
        chosen = types_of(kind, model)
    except ValueError as error:
        raise UsageError(str(error)) from error
    numbers = {name: NUMBERS[info.stored] for name, info in tensors.items()}
    return {
        name: _number(chosen[name]) if name in chosen else number
        for name, number in numbers.items()
    }


EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def _number(kind: str) -> int:
    return NUMBERS[kind.upper()] if kind in PLAIN_KINDS else TYPES[kind]


def _size(number: int, info: TensorInfo) -> int:
    stored, count = STORED[number], 1
    for extent in info.shape:
        count *= extent
    return count // stored.block * stored.nbytes


def _data(given: Given, name: str, info: TensorInfo, number: int) -> bytes:
    """A tensor as it is written."""
    if STORED[number].name == info.stored and (raw := given.raw(name)) is not None:
        return raw
    weight = given.read(name)
    if number in PLAIN:
        plain = weight.to(PLAIN[number]).contiguous()
        return bytes(plain.view(torch.uint8).numpy().tobytes())
    columns = info.shape[-1]
    importance = given.importance(name)
    rows = weight.reshape(-1, columns)
    kind = FORMATS[number][0].lower()
    try:
        if importance is None or importance.ndim == 1:
            return encode_blocks(rows, kind, importance).tobytes()
        parts = zip(rows.chunk(len(importance)), importance, strict=True)
        blocks = [encode_blocks(part, kind, each) for part, each in parts]
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from error
    return np.concatenate(blocks).tobytes()
