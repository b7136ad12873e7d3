"""The implementations that a model can be held against, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from tramontane.checkpoint.checkpoint import Header
from tramontane.config import DecoderConfig
from tramontane.errors import NoReference
from tramontane.hub.options import HubOptions
from tramontane.model.source import find_model
from tramontane.registry import Registry

from .ours import Rounding
from .watch import Seen
from .weights import Sample

WAYS = "transformers, transformers:CLASS, llama.cpp, gguf:FILE or folder:PATH"


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


def choose_reference(
    against: str | None, subject: Subject, hub: HubOptions, dtype: str, *, force: bool
) -> Reference:
    """The one named, or the first that is installed and fits. Raises NoReference, and
    NotEnoughMemory unless forced."""
    from .llama_cpp import LlamaCpp
    from .our_other import OurOther
    from .transformers_model import Transformers

    gguf = subject.header.container == "gguf"
    if against is None:
        against = _fitting(gguf)
    kind, _, named = against.partition(":")
    if kind == "transformers":
        return Transformers(subject, named, dtype, force=force)
    if against in ("llama.cpp", "llama_cpp"):
        return LlamaCpp(subject)
    if kind in ("gguf", "folder") and named:
        return OurOther(find_model(named, subject.registry, hub), subject.registry)
    raise NoReference(f"--against {against}: what can be compared with is {WAYS}")


def _fitting(gguf: bool) -> str:
    has = {name: find_spec(name) is not None for name in ("llama_cpp", "transformers", "gguf")}
    if not gguf:
        if has["transformers"]:
            return "transformers"
        raise NoReference(
            "nothing to compare a folder with is installed: pip install transformers, or name a "
            "GGUF file of the same model: --against gguf:FILE"
        )
    if has["llama_cpp"]:
        return "llama.cpp"
    if has["transformers"] and has["gguf"]:
        return "transformers"
    raise NoReference(
        "nothing to compare a GGUF file with is installed: pip install llama-cpp-python, or "
        "pip install transformers gguf, or name the folder that the file was made of: "
        "--against folder:PATH"
    )
