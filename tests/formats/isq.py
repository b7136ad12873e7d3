"""Models quantized while they are loaded: every kind of every quantizer, the CPU against the
reference with what the matrices decode to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tramontane.checkpoint.load import Loaded
from tramontane.layouts import Dense
from tramontane.plugin import Quantizer
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole

from tests.parity.paths import TOKENS, opened

from .folder import config_of, save
from .gguf import SIZES
from .measure import STEPS, apart
from .models import FAMILIES, source
from .table import number

TITLE = "## Quantized while loading"
ABOUT = """Every kind that `--isq` takes, of every quantizer, on models of 256 columns.

Held against: the same model on the reference device, with what its matrices decode to before it is
rounded to 16 bits. What each kind makes of a matrix, the distributions' own tests hold against the
formats' libraries. Numbers are those of the CPU."""
HEADER = ["| | kinds | " + " | ".join(FAMILIES) + " |", "|---|---|" + "---|" * len(FAMILIES)]
TOLERANCE = 1e-4


@cache
def kinds() -> dict[str, list[str]]:
    """Kinds by the quantizers that make them."""
    offers = {offer.name: offer for offer in Registry().all(Quantizer)}
    return {name: sorted(offer.kinds) for name, offer in offers.items() if offer.kinds}


def dense(loaded: Loaded) -> Loaded:
    """The model with its packed matrices decoded."""
    for module in loaded.model.modules():
        if hasattr(module, "kernel") and hasattr(module, "weight"):
            held: Any = module
            exact = {"rounded": None} if getattr(held.weight, "rounded", None) else {}
            held.weight = Dense(replace(held.weight, **exact).decode())
    return loaded


def difference(quantizer: str, kind: str, family: str, folder: Path) -> float:
    """The largest difference of the CPU's logits, as a share of the largest."""
    made = source(family, SIZES)
    save(folder, config_of(made), made.tensors)
    options = {"dtype": "f32", "activations": "f32", "isq": f"{quantizer}:{kind}"}
    first = opened(folder, "reference", **options)
    assert first.report.quantized is not None
    assert kind in first.report.quantized.kinds, first.report.quantized.lines()
    expected = whole(dense(first).model, TOKENS)
    on_cpu = opened(folder, "cpu", **options).model
    stepped = in_pieces(on_cpu, TOKENS, STEPS, stepped=True)
    return max(apart(whole(on_cpu, TOKENS), expected), apart(stepped, expected))


def rows() -> Iterator[tuple[str, bool]]:
    """A line for each quantizer, and whether all of it is small enough."""
    for quantizer, own in kinds().items():
        cells, good = [], True
        for family in FAMILIES:
            found = []
            for kind in own:
                with tempfile.TemporaryDirectory() as folder:
                    found.append(difference(quantizer, kind, family, Path(folder)))
            cells.append(number(found))
            good &= all(value < TOLERANCE for value in found)
        yield f"| {quantizer} | {', '.join(own)} | {' | '.join(cells)} |", good
