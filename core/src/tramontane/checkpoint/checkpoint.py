"""The loader's interface to a checkpoint of any file format: a header, and tensors by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tramontane.block_format import Stored
from tramontane.layouts import Layout
from tramontane.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's entry in the header. shape: in PyTorch's order, rows first. stored: the
    format's own name for its type. nbytes: size in the file. in_memory: bytes once it is read, if
    that is another size."""

    shape: tuple[int, ...]
    stored: str
    nbytes: int
    in_memory: int | None = None

    @property
    def held(self) -> int:
        """Bytes once it is read."""
        return self.nbytes if self.in_memory is None else self.in_memory


DENSE = {
    "f64", "f32", "f16", "bf16", "f8_e4m3", "f8_e5m2",
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2",
}  # fmt: skip
"""Plain numbers, as containers and torch call them."""


@dataclass(frozen=True)
class Header:
    """The metadata of a checkpoint, read before any weight."""

    path: Path
    container: str
    """"safetensors", "pytorch", or the name of the quantizer offer that opened it."""
    dialect: str
    """The naming scheme of the tensors: "hf" or "gguf"."""
    architecture: str
    config: Mapping[str, Any]
    """The model's configuration with config.json's keys, for any file format."""
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """All other metadata of the file, for `inspect`."""
    encoder: str | None = None
    """The kind of encoder of images that the file holds instead of a language model."""
    encoder_path: Path | None = None
    """Where the encoder is, if that is a file of its own."""


class Checkpoint(Protocol):
    """An opened checkpoint. Opening reads the header only; sizes and offsets are checked then."""

    @property
    def header(self) -> Header: ...

    @property
    def names(self) -> Mapping[str, str]:
        """The model's module names by the container's, with `{}` for a layer's number; empty
        when they are the same."""
        ...

    def read(self, name: str) -> Layout:
        """One tensor, exactly, in a packed layout or dense. Raises CheckpointError."""
        ...

    def tokenizer(self) -> Tokenizer:
        """Raises NoTokenizer where the checkpoint has none, CheckpointError for a damaged one."""
        ...

    def chat_template(self) -> str | None:
        """The jinja template for chats without tools, and for all chats if it is the only one."""
        ...

    def generation_defaults(self) -> Mapping[str, Any]:
        """The content of generation_config.json, or an empty mapping."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class ReadsStored(Protocol):
    """An optional capability of a checkpoint: giving access to matrices as stored in the file."""

    def stored(self, name: str) -> Stored | None:
        """One matrix, not read yet; None for a tensor that only `read` supports."""
        ...


@runtime_checkable
class HasFileMetadata(Protocol):
    """An optional capability of a checkpoint: the texts that its files hold beside their tensors,
    as `__metadata__` of safetensors."""

    def file_metadata(self, names: Iterable[str]) -> Mapping[str, str]:
        """Those of the files that hold these tensors: where several have a key, of the first."""
        ...


@runtime_checkable
class HasProcessor(Protocol):
    """An optional capability of a checkpoint: how media are prepared."""

    def processor(self) -> Mapping[str, Any]:
        """The content of `processor_config.json`, of `preprocessor_config.json` where there is
        none, or an empty mapping; `video_preprocessor_config.json` as its `video_processor`."""
        ...


@runtime_checkable
class HasParts(Protocol):
    """An optional capability of a checkpoint: several parts, each a checkpoint of its own."""

    @property
    def parts(self) -> Mapping[str, Checkpoint]:
        """Those with weights, by name."""
        ...


@runtime_checkable
class HasToolTemplate(Protocol):
    """An optional capability of a checkpoint: a separate template for chats with tools."""

    def tool_template(self) -> str | None:
        """The template for chats with tools; None if there is only `chat_template`."""
        ...


def chat_templates(checkpoint: Checkpoint) -> tuple[str | None, str | None]:
    """The chat template, and the one for chats with tools, which may be the same.

    Raises TemplateError if a file that should contain one cannot be read.
    """
    plain = checkpoint.chat_template()
    special = checkpoint.tool_template() if isinstance(checkpoint, HasToolTemplate) else None
    return plain, plain if special is None else special
