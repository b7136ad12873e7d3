"""What a verification found: numbers, without torch."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
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
        return "\n".join(lines(self))


def quoted(text: str, most: int = 28) -> str:
    """A text on one line, its beginning if it is long."""
    line = " ".join(text.split())
    return repr(line if len(line) <= most else f"{line[: most - 3]}...")


WIDTH = 80
BAR = 16
LEAST, MOST = -8, 0
"""Powers of ten between which a bar grows."""
Paint = Callable[[str, str], str]
LOOKS = {"right": "green", "differs": "yellow", "wrong": "red"}


def lines(found: Verification, paint: Paint = lambda text, _: text) -> Iterator[str]:
    """paint: a text and a look, as `cli.color.paint`."""
    yield from _folded(f"{found.model} compared with {found.against}")
    yield ""
    yield from _prompts(found, paint)
    if found.layers:
        yield ""
        yield from _layers(found, paint)
    if found.bound:
        yield ""
        yield from _folded(found.bound)
    for note in found.notes:
        yield from _folded(note)
    yield ""
    first, *more = found.reasons
    head, *rest = _folded(f"{found.verdict}: {first}")
    yield paint(found.verdict, LOOKS[found.verdict]) + head[len(found.verdict) :]
    yield from rest
    for reason in more:
        yield from _folded(f"{reason[:1].upper()}{reason[1:]}")


def _prompts(found: Verification, paint: Paint) -> Iterator[str]:
    device = found.device.partition(" ")[0]
    yield f"{'prompt':<26}{'tokens':>7}{'exactly':>10}{'allowed':>9}{device:>12}{'allowed':>9}"
    for prompt in found.prompts:
        exact, there = prompt.exact, prompt.device
        cells = f"{_text(prompt):<26}{prompt.tokens:>7}"
        cells += paint(f"{exact.error:>10.1e}", "red" if exact.wrong else "")
        cells += f"{exact.allowed:>9.1e}"
        cells += paint(f"{there.error:>12.1e}", "red" if there.wrong else "")
        yield f"{cells}{there.allowed:>9.1e}"


def _text(prompt: PromptResult) -> str:
    return "token ids" if prompt.text is None else quoted(prompt.text, 22)


def _layers(found: Verification, paint: Paint) -> Iterator[str]:
    kinds = min(26, max(len("what it is"), *(len(layer.kind) for layer in found.layers)))
    yield f"{'layer':<11}{'what it is':<{kinds}}{'error':>9}{'its own':>9}  1e-8{'1':>{BAR - 4}}"
    first = found.first_wrong
    for layer in found.layers:
        own = "" if layer.own is None else f"{layer.own:.1e}"
        kind = layer.kind if len(layer.kind) <= kinds else f"{layer.kind[: kinds - 2]}.."
        mark = "  <- jumps" if layer is first else "  <-" if layer.jump else ""
        cells = f"{layer.name:<11}{kind:<{kinds}}{layer.error:>9.1e}{own:>9}  "
        look = "red" if layer.jump else ""
        yield f"{cells}{paint(f'{bar(layer):<{BAR}}', look)}{paint(mark, look)}".rstrip()


def bar(layer: LayerResult) -> str:
    """The layer's own error, or else its error, as a length: a power of ten is 2 characters."""
    error = layer.error if layer.own is None else layer.own
    if error != error:
        return "#" * BAR
    power = math.log10(error) if error > 0 else LEAST
    share = (min(max(power, LEAST), MOST) - LEAST) / (MOST - LEAST)
    return "#" * round(BAR * share)


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
