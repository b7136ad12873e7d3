"""A file before GGUF as a checkpoint."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from tramontane.block_format import Plain, Raw, Stored
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Dense, Layout
from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_quant_gguf.container import FLOATS
from tramontane_quant_gguf.formats.recipes import RECIPES
from tramontane_quant_gguf.formats.table import FORMATS
from tramontane_quant_gguf.header import Stretch
from tramontane_quant_gguf.mapped import Mapped
from tramontane_quant_gguf.names import DECODER
from tramontane_quant_gguf.types import STORED
from tramontane_quant_gguf.writer import Value

from .blocks import OLD, old_blocks
from .gguf_keys import gguf_keys
from .header import read_old
from .vocabulary import tokenizer_of

log = logging.getLogger(__name__)


def open_ggml(path: Path) -> GgmlCheckpoint:
    """Open a GGML, GGMF or GGJT file.

    Raises ModelNotFound when there is none, and CheckpointError, naming the file, the value and
    what is wrong with it, for anything that is not a sound one of a known family.
    """
    return GgmlCheckpoint(path)


class GgmlCheckpoint:
    """An opened file. Its dense tensors are views of the file, which nobody may change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = Mapped(path)
        try:
            self.file = read_old(self._bytes.buffer, path)
        except BaseException:
            self._bytes.close()
            raise
        family, old = self.file.family, self.file
        self._tensors = {family.rename(name): each for name, each in old.tensors.items()}
        shapes = {name: each.shape for name, each in old.tensors.items()}
        try:
            config = family.config(old.fields, shapes)
        except KeyError as error:
            self._bytes.close()
            raise CheckpointError(f"{path}: it has no tensor {error}") from error
        names: Mapping[str, str] = DECODER if family.dialect == "gguf" else {}
        self.names = MappingProxyType(dict(names))
        self.header = Header(
            path=path,
            container=old.container,
            dialect=family.dialect,
            architecture=family.architecture,
            config={"model_type": family.name, **_biases(family.dialect, self._tensors), **config},
            tensors={name: self._info(each) for name, each in self._tensors.items()},
            metadata={"family": family.name, "blocks of generation": old.layout, **old.fields},
        )

    def read(self, name: str) -> Layout:
        """One tensor: Dense as stored, or Affine. Raises CheckpointError."""
        stretch = self._tensor(name)
        kind = STORED[stretch.type].name
        if kind in FLOATS:
            data = self._bytes.tensor(FLOATS[kind], stretch.start, stretch.nbytes)
            return Dense(data.view(stretch.shape))
        rows = math.prod(stretch.shape[:-1])
        raw = self._bytes.stretch(stretch.start, stretch.nbytes)
        return self._translated(name, raw, rows, stretch.shape[-1])

    def stored(self, name: str) -> Stored | None:
        """One matrix as its blocks lie in the file. Implements `ReadsStored`."""
        stretch = self._tensors.get(name)
        if stretch is None or len(stretch.shape) != 2:
            return None
        kind = STORED[stretch.type].name
        recipe = Plain(FLOATS[kind]) if kind in FLOATS else RECIPES.get(kind)
        if recipe is None or (self.file.layout < 3 and kind not in FLOATS):
            return None
        raw = self._bytes.stretch(stretch.start, stretch.nbytes)

        def translate(part: Raw, rows: int, columns: int) -> Layout:
            if isinstance(recipe, Plain):
                data = torch.from_numpy(part[0 : len(part)].copy()).view(recipe.dtype)
                return Dense(data.view(rows, columns))
            return self._translated(name, part, rows, columns)

        rows, columns = stretch.shape
        return Stored(raw, (rows, columns), recipe, translate, raw.place)

    def tokenizer(self) -> Tokenizer:
        """Raises NoTokenizer, CheckpointError."""
        return tokenizer_of(self.file, self._path)

    def chat_template(self) -> None:
        """There was none then."""

    def generation_defaults(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def gguf_metadata(self) -> Mapping[str, Value]:
        """Implements `RestatesGguf`, for families with GGUF's names. Raises NoTokenizer,
        CheckpointError."""
        config = dict(self.header.config)
        if self.file.layout < 3 and any(OLD[e.type].wide for e in self._old_blocks()):
            log.warning(
                "%s: its scales are float32 and become float16, which rounds weights by up to one "
                "part in 2048", self._path,
            )  # fmt: skip
        return gguf_keys(self.file, config, self.tokenizer(), self._path)

    def gguf_bytes(self, name: str) -> bytes | None:
        """Implements `RestatesGguf`: floats, and blocks of the third generation."""
        stretch = self._tensor(name)
        if self.file.layout < 3 and stretch.type in OLD:
            return None
        return bytes(self._bytes.stretch(stretch.start, stretch.nbytes)[0 : stretch.nbytes])

    def close(self) -> None:
        """Let go of the file; it stays mapped for as long as a tensor looks at it."""
        self._bytes.close()

    def _old_blocks(self) -> Iterable[Stretch]:
        return (each for each in self._tensors.values() if each.type in OLD)

    def _tensor(self, name: str) -> Stretch:
        if name not in self._tensors:
            raise CheckpointError(f"{self._path}: there is no tensor {name!r} in it")
        return self._tensors[name]

    def _translated(self, name: str, raw: Raw, rows: int, columns: int) -> Layout:
        kind, layout = self._tensors[name].type, self.file.layout
        found = (
            old_blocks(kind, raw, rows, columns, layout)
            if layout < 3 and kind in OLD
            else FORMATS[kind][3](raw, rows, columns)
        )
        assert isinstance(found, Affine)
        for what, numbers in (("scale", found.scale), ("minimum", found.minimum)):
            if numbers is not None and not bool(numbers.isfinite().all()):
                raise CheckpointError(
                    f"{self._path}: tensor {name!r} has a {what} that is infinite or no number; "
                    "the file is damaged"
                )
        return found

    def _info(self, stretch: Stretch) -> TensorInfo:
        stored, in_memory = STORED[stretch.type], None
        if self.file.layout < 3 and stretch.type in OLD:
            in_memory = stretch.nbytes  # scales stay float32
        return TensorInfo(stretch.shape, stored.name, stretch.nbytes, in_memory)


def _biases(dialect: str, tensors: Mapping[str, Stretch]) -> dict[str, bool]:
    """What a configuration of GGUF's says by which tensors there are."""
    if dialect != "gguf":
        return {}
    return {
        "attention_bias": "blk.0.attn_qkv.bias" in tensors,
        "attention_out_bias": "blk.0.attn_output.bias" in tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in tensors,
        "lm_head_bias": False,
    }
