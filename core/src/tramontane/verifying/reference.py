"""The implementations that a model can be held against, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tramontane.checkpoint.checkpoint import Header
from tramontane.config import DecoderConfig
from tramontane.registry import Registry

from .ours import Rounding
from .watch import Seen
from .weights import Sample


@dataclass
class Words:
    """How texts become tokens. ids: of each text; None: not known, `why` says so. chat: a chat of
    one question, as text."""

    ids: list[list[int]] | None = None
    chat: str | None = None
    why: str = ""
    filed: list[list[int]] | None = None
    """What tokenizer.json says by itself, where the tokenizer of `ids` is a class of its own."""
    text_of: Callable[[int], str] = str
    """The text of a token."""


@dataclass
class Theirs:
    """What a reference computed. seen: for each prompt. weights: by path, for those it shows.
    notes: what makes it less of a reference."""

    seen: list[Seen]
    words: Words
    weights: dict[str, Sample] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rounding: Rounding = field(default_factory=Rounding)


@dataclass(frozen=True)
class Subject:
    """The model that is verified. parameters: numbers in its weights."""

    path: Path
    header: Header
    config: DecoderConfig
    parameters: int
    registry: Registry


class Reference(Protocol):
    """Another implementation, and its file."""

    @property
    def name(self) -> str: ...

    @property
    def one_file(self) -> bool:
        """Whether it reads the very numbers that the subject has."""
        ...

    def run(
        self, prompts: Sequence[Sequence[int]], texts: Sequence[str], parts: int, *, force: bool
    ) -> Theirs:
        """Raises NoReference, NotEnoughMemory. parts: the prompt of which parts are noted."""
        ...
