"""A GGUF file, or several that belong together, as a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.block_format import Plain, Raw, Stored
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Codebook, Dense, Layout
from tramontane.tokenizer.tokenizer import Tokenizer

from .big_endian import Swapped
from .config import config_of, header_architecture, sampling_of
from .encoder import ENCODER, EncoderTensors, encoder_kind, joined
from .formats.grid_recipes import grid_recipe
from .formats.recipes import RECIPES
from .formats.table import FORMATS, bytes_in_memory
from .header import Stretch, pairs_in
from .mapped import Mapped
from .names import CONSUMED, DECODER
from .second_scales import companions, scale_of_rows
from .split import open_parts
from .types import STORED
from .vocabulary import read_tokenizer

FLOATS: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}

SCALES = (torch.float16, torch.float32, torch.float8_e8m0fnu, torch.float8_e4m3fn)


def open_gguf(path: Path) -> GgufCheckpoint:
    """Open a GGUF file, or all parts of the model that it is a part of.

    Raises ModelNotFound when there is no such file, and CheckpointError, naming the file, the
    value and what is wrong with it, for anything that is not a sound GGUF v2 or v3.
    """
    return GgufCheckpoint(path)


class GgufCheckpoint:
    """An opened GGUF model. Its dense tensors are views of the files, which nobody may change."""

    names: Mapping[str, str] = MappingProxyType(DECODER)
    """Tensor stems to module paths, `{}` for a layer's number."""

    def __init__(self, path: Path) -> None:
        self._closed = False
        self._owners: dict[str, tuple[Mapped, Stretch]] = {}
        self._parts: dict[str, list[str]] = {}
        parts = open_parts(path)
        for part in parts:
            for name, stretch in part.header.tensors.items():
                self._owners[name] = (part.file, stretch)
        self._first = parts[0]
        metadata, self._path = parts[0].header.metadata, parts[0].header.path
        stretches = {name: stretch for name, (_, stretch) in self._owners.items()}
        if metadata.get("general.architecture") == ENCODER:
            self._open_encoder(metadata, stretches)
            return
        self.companions = companions(stretches)
        settings = {*CONSUMED, *chain.from_iterable(self.companions.values())}
        self.header = Header(
            path=self._path,
            container="gguf",
            dialect="gguf",
            architecture=header_architecture(metadata, self._path),
            config=config_of(metadata, stretches, self._factors, self._path),
            tensors={
                name: self._info(stretch)
                for name, stretch in stretches.items()
                if name not in settings
            },
            metadata=metadata,
        )

    def _open_encoder(self, metadata: dict[str, Any], stretches: dict[str, Stretch]) -> None:
        """A file with an encoder of images, which has no configuration of a language model."""
        kind = encoder_kind(metadata, self._path)
        width = metadata.get("clip.vision.embedding_length", 0)
        infos = {name: self._info(stretch) for name, stretch in stretches.items()}
        tensors, self.companions = EncoderTensors(infos, width), {}
        self._parts = tensors.parts
        self.header = Header(
            path=self._path,
            container="gguf",
            dialect="gguf",
            architecture=ENCODER,
            config={},
            tensors=tensors.infos,
            metadata=metadata,
            encoder=kind,
        )

    def read(self, name: str) -> Layout:
        """One tensor: Dense as stored, or Affine. Experts' matrices, (experts, rows, columns),
        come stacked as (experts * rows, columns) when packed.

        Raises CheckpointError for a name that is not there, integers, and scales that are not
        finite.
        """
        if name in self._parts:
            frames = [self._read(part) for part in self._parts[name]]
            return joined(frames, self.header.tensors[name].shape, self._path, name)
        return self._read(name)

    def _read(self, name: str) -> Layout:
        if name not in self._owners:
            gone = "any more, it is closed" if self._closed else "in it"
            raise CheckpointError(f"{self._path}: there is no tensor {name!r} {gone}")
        file, stretch = self._owners[name]
        stored = STORED[stretch.type].name
        if stored in FLOATS:
            if stretch.big_endian:
                data = torch.from_numpy(self._bytes(name)[0 : stretch.nbytes]).view(FLOATS[stored])
            else:
                data = file.tensor(FLOATS[stored], stretch.start, stretch.nbytes)
            return Dense(data.view(stretch.shape))
        rows = math.prod(stretch.shape[:-1])
        layout = self._translate(name, self._bytes(name), rows, stretch.shape[-1])
        return self._twice_scaled(name, layout) if name in self.companions else layout

    def info(self, name: str) -> TensorInfo | None:
        """A tensor's entry, also of one that is really a setting; None if there is none."""
        if name not in self._owners:
            return None
        return self._info(self._owners[name][1])

    def raw(self, name: str) -> bytes:
        """A tensor's bytes as they lie in a little-endian file."""
        return bytes(self._bytes(name)[0 : self._owners[name][1].nbytes])

    def pairs(self) -> Iterator[tuple[str, bytes]]:
        """The metadata pairs of the file, or of the first part, as they lie in a little-endian
        one."""
        return pairs_in(self._first.file.buffer, self._first.header.path)

    def stored(self, name: str) -> Stored | None:
        """One matrix as its blocks lie in the file. Implements `ReadsStored`."""
        if name in self._parts:
            (name, *further) = self._parts[name]
            if further:
                return None
        if name not in self._owners:
            return None
        file, stretch = self._owners[name]
        kind = STORED[stretch.type].name
        recipe = Plain(FLOATS[kind]) if kind in FLOATS else RECIPES.get(kind) or grid_recipe(kind)
        if recipe is None or len(stretch.shape) != 2 or stretch.big_endian:
            return None
        raw = file.stretch(stretch.start, stretch.nbytes)

        def translate(part: Raw, rows: int, columns: int) -> Layout:
            if isinstance(recipe, Plain):
                data = torch.from_numpy(part[0 : len(part)].copy()).view(recipe.dtype)
                return Dense(data.view(rows, columns))
            return self._translate(name, part, rows, columns)

        rows, columns = stretch.shape
        return Stored(raw, (rows, columns), recipe, translate, raw.place)

    def _bytes(self, name: str) -> Raw:
        """A tensor's bytes, little-endian, read as they are sliced."""
        file, stretch = self._owners[name]
        raw = file.stretch(stretch.start, stretch.nbytes)
        return Swapped(raw, STORED[stretch.type].name) if stretch.big_endian else raw

    def _translate(self, name: str, raw: Raw, rows: int, columns: int) -> Affine | Codebook:
        kind = self._owners[name][1].type
        if kind not in FORMATS:
            held = STORED[kind].name
            raise CheckpointError(f"{self._path}: tensor {name!r} holds {held}, not weights")
        layout = FORMATS[kind][3](raw, rows, columns)
        self._check_finite(name, layout)
        return layout

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the metadata. Raises CheckpointError when it has none that is known."""
        return read_tokenizer(self.header.metadata, self._path)

    def chat_template(self) -> str | None:
        """`tokenizer.chat_template`, jinja; without it, as in llama.cpp, that for tools."""
        found = self._template("tokenizer.chat_template")
        return self.tool_template() if found is None else found

    def tool_template(self) -> str | None:
        """`tokenizer.chat_template.tool_use`. Implements `HasToolTemplate`."""
        return self._template("tokenizer.chat_template.tool_use")

    def generation_defaults(self) -> Mapping[str, Any]:
        """`general.sampling.*`, in generation_config.json's words."""
        return sampling_of(self.header.metadata)

    def close(self) -> None:
        """Let go of the files; they stay mapped for as long as a tensor looks at them."""
        for file in {file for file, _ in self._owners.values()}:
            file.close()
        self._owners, self._closed = {}, True

    def _template(self, key: str) -> str | None:
        found = self.header.metadata.get(key)
        return found if isinstance(found, str) and found else None

    def _factors(self, name: str) -> list[float] | None:
        if name not in self._owners:
            return None
        layout = self.read(name)
        if not isinstance(layout, Dense) or layout.data.numel() > 1 << 16:
            raise CheckpointError(f"{self._path}: {name!r} is not a list of frequency factors")
        factors: list[float] = layout.data.flatten().double().tolist()
        if not all(math.isfinite(factor) and factor > 0 for factor in factors):
            raise CheckpointError(f"{self._path}: {name!r} has factors that are not positive")
        return factors

    def _twice_scaled(self, name: str, layout: Layout) -> Layout:
        """A matrix of NVFP4 with what its `.scale` says."""
        scale = self.companions[name][0]
        if not scale.endswith(".scale"):
            return layout
        assert isinstance(layout, Codebook)
        found, shape = self.read(scale), self._owners[name][1].shape
        try:
            if not isinstance(found, Dense):
                raise ValueError("it is quantized")
            return replace(layout, super_scale=scale_of_rows(found.data, shape))
        except ValueError as error:
            raise CheckpointError(
                f"{self._path}: tensor {scale!r}, the scale of {name!r}: {error}"
            ) from error

    def _info(self, stretch: Stretch) -> TensorInfo:
        stored = STORED[stretch.type].name
        return TensorInfo(stretch.shape, stored, stretch.nbytes, self._in_memory(stretch))

    def _in_memory(self, stretch: Stretch) -> int | None:
        """Bytes of a tensor once it is translated, where that is more than in the file."""
        if stretch.type not in FORMATS:
            return None
        weights = FORMATS[stretch.type][1]
        held = math.prod(stretch.shape) // weights * bytes_in_memory(stretch.type)
        if stretch.name in self.companions:
            held += 4 * math.prod(stretch.shape[:-1])
        return held if held > stretch.nbytes else None

    def _check_finite(self, name: str, layout: Affine | Codebook) -> None:
        for what, tensor in layout.tensors().items():
            if tensor.dtype in SCALES and (bad := _not_finite(tensor)):
                raise CheckpointError(
                    f"{self._path}: tensor {name!r}: {bad} of its {tensor.numel()} "
                    f"{what.replace('_', ' ')}s are infinite or not numbers; the file is damaged"
                )


def _not_finite(scales: Tensor) -> int:
    """How many have all bits of the exponent; torch's isfinite takes ten times as long."""
    if scales.dtype == torch.float8_e8m0fnu:
        return int(np.count_nonzero(scales.view(torch.uint8).numpy() == 255))
    if scales.dtype == torch.float8_e4m3fn:
        return int(np.count_nonzero(scales.view(torch.uint8).numpy() & 127 == 127))
    if scales.dtype == torch.float32:
        return int(np.count_nonzero(~np.isfinite(scales.numpy())))
    bits = scales.view(torch.int16).numpy().reshape(-1)
    runs = (bits[start : start + (1 << 18)] for start in range(0, len(bits), 1 << 18))
    return sum(int(np.count_nonzero((run & 0x7C00) == 0x7C00)) for run in runs)
