"""What a verification found: numbers, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

LIMIT = 1e-4
"""Largest difference of float32 computations, relative to the largest logit, or to a hidden state's
size."""

Verdict: TypeAlias = Literal["right", "differs", "wrong"]


@dataclass(frozen=True)
class LogitError:
    """The largest difference of logits, by the largest logit. allowed: what rounding explains.
    first: the first position over that; None: none is. same: share of positions whose likeliest
    token is the same."""

    error: float
    allowed: float
    first: int | None
    same: float

    @property
    def wrong(self) -> bool:
        return self.first is not None


@dataclass(frozen=True)
class TokenDifference:
    """The first token in which two tokenizers differ. ours, theirs: its id, None past the end, and
    its text."""

    place: int
    ours: tuple[int | None, str]
    theirs: tuple[int | None, str]

    def __str__(self) -> str:
        (mine, own), (other, said) = self.ours, self.theirs
        return f"token {self.place}: {mine} {own!r} here, {other} {said!r} there"


@dataclass(frozen=True)
class PromptResult:
    """text: None for token ids. exact: our float32 computation on the reference beside theirs.
    device: the device that was asked for, beside theirs. tokens_differ: None: equal, or not
    compared."""

    text: str | None
    tokens: int
    exact: LogitError
    device: LogitError
    tokens_differ: TokenDifference | None = None


@dataclass(frozen=True)
class LayerResult:
    """name: "embedding", the layer's number, or "logits". kind: what it is made of. error: the
    largest over tokens of |difference| / |hidden state|. own: the same when the layer reads what
    theirs has read; None: not known. allowed: of `own`, what rounding explains."""

    name: str
    kind: str
    error: float
    own: float | None
    allowed: float
    jump: bool = False


@dataclass(frozen=True)
class WeightResult:
    """A weight that differs by more than its formats explain. error: as a share of its size. ratio:
    one by the other, in the mean."""

    path: str
    error: float
    allowed: float
    ratio: float


@dataclass(frozen=True)
class Part:
    """path: below the layer, of the first module whose result differs though what the layer reads
    is equal. after: the last one before it whose result is equal."""

    path: str
    after: str | None


@dataclass(frozen=True)
class Verification:
    """What `verify` returns. str: what the command prints.

    model, against: what was compared. device: what ran ours, beside the reference. prompts:
    as asked. layers: empty where theirs shows none. weights: those that differ. reasons: sentences,
    the most important first. part: of the first wrong layer, where it is known. bound: where the
    bounds come from. notes: what was not compared, or strays without being wrong.
    """

    model: str
    against: str
    device: str
    verdict: Verdict
    reasons: Sequence[str]
    prompts: Sequence[PromptResult]
    layers: Sequence[LayerResult] = ()
    weights: Sequence[WeightResult] = ()
    part: Part | None = None
    bound: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def right(self) -> bool:
        """Whether nothing differs by more than rounding explains."""
        return self.verdict == "right"

    @property
    def first_wrong(self) -> LayerResult | None:
        """The layer where the error jumps first."""
        return next((layer for layer in self.layers if layer.jump), None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"right": self.right, **asdict(self)}

    def __str__(self) -> str:
        from .show import lines

        return "\n".join(lines(self))


def quoted(text: str, most: int = 28) -> str:
    """A text on one line, its beginning if it is long."""
    line = " ".join(text.split())
    return repr(line if len(line) <= most else f"{line[: most - 3]}...")
