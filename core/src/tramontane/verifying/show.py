"""A verification as lines for people, at most 80 columns but for sentences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator

from .result import LayerResult, PromptResult, Verification, quoted

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
