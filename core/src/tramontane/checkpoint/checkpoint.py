"""What a checkpoint is to the loader, whatever its files are: a header, and tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tramontane.layouts import Layout
from tramontane.stored import Stored
from tramontane.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class TensorInfo:
    """One tensor as the header tells it. shape: as PyTorch has it, rows first. stored: the
    format's own name for its type. nbytes: in the file."""

    shape: tuple[int, ...]
    stored: str
    nbytes: int


@dataclass(frozen=True)
class Header:
    """What can be known of a checkpoint before a weight is read."""

    path: Path
    container: str
    """"safetensors", "pytorch", or the name of the quantizer offer that opened it."""
    dialect: str
    """Whose names the tensors have: "hf" or "gguf"."""
    architecture: str
    config: Mapping[str, Any]
    """In config.json's words, whatever the file's own are."""
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Everything else that the file says, for `inspect`."""


class Checkpoint(Protocol):
    """An opened checkpoint. Opening reads the header only; sizes and offsets are checked then."""

    @property
    def header(self) -> Header: ...

    @property
    def names(self) -> Mapping[str, str]:
        """The container's module names in the model's words, `{}` for a layer's number; empty
        when they are the same."""
        ...

    def read(self, name: str) -> Layout:
        """One tensor, exactly, in a packed layout or dense. Raises CheckpointError."""
        ...

    def tokenizer(self) -> Tokenizer:
        """Raises NoTokenizer where the checkpoint has none, CheckpointError for a damaged one."""
        ...

    def chat_template(self) -> str | None:
        """The template, jinja, of chats without tools, and of all where there is only one."""
        ...

    def generation_defaults(self) -> Mapping[str, Any]:
        """What generation_config.json says, or an empty mapping."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class ReadsStored(Protocol):
    """What a checkpoint may do besides: hand matrices out as they lie in the file."""

    def stored(self, name: str) -> Stored | None:
        """One matrix, not read yet; None for what only `read` knows."""
        ...


@runtime_checkable
class HasToolTemplate(Protocol):
    """What a checkpoint may have besides: a chat template of its own for chats with tools."""

    def tool_template(self) -> str | None:
        """None where there is none but `chat_template`."""
        ...


def chat_templates(checkpoint: Checkpoint) -> tuple[str | None, str | None]:
    """The chat template, and the one for chats with tools, which may be the same.

    Raises TemplateError where a file that should have one cannot be read.
    """
    plain = checkpoint.chat_template()
    special = checkpoint.tool_template() if isinstance(checkpoint, HasToolTemplate) else None
    return plain, plain if special is None else special
