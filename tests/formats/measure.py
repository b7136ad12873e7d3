"""How far a model in a format is from transformers with the weights that the format stands for."""

from __future__ import annotations

from pathlib import Path

import torch
from tramontane.testing.forward_passes import in_pieces

from ..parity.forward import logits
from ..parity.paths import PROMPT, TOKENS, expected, opened
from .models import computed, source
from .record import Format, Variant, Written

DEVICES = ("reference", "cpu")
TOLERANCE = 1e-4


def write(form: Format, variant: Variant, family: str, folder: Path) -> Written:
    """A model of a family in a format."""
    target = folder / "quantized"
    target.mkdir()
    return variant.write(source(family, form.sizes), target)


def differences(form: Format, variant: Variant, family: str, folder: Path) -> dict[str, float]:
    """For each device, the largest difference of logits as a share of the largest logit: of a
    prompt at once, in chunks with tokens one by one behind it, and of the engine's steps.

    The reference is held against weights as the format's library rounds them, the CPU, whose
    kernels do not round, against those before rounding.
    """
    made = write(form, variant, family, folder)
    found = {}
    for device, numbers in (("reference", made.numbers), ("cpu", made.exact)):
        theirs = computed(source(family, form.sizes), numbers, folder / f"plain-{device}")
        right, stepped = expected(theirs)
        ours = opened(made.path, device, dtype="f32", activations="f32")
        (whole,) = logits(ours, [TOKENS])
        (chunked,) = logits(ours, [TOKENS], chunk=7, prompts=[PROMPT])
        sizes = [PROMPT] + [1] * (len(TOKENS) - PROMPT)
        engine = in_pieces(ours.model, TOKENS, sizes, stepped=True)
        found[device] = max(
            float((mine - other).abs().max() / other.abs().max())
            for mine, other in ((whole, right), (chunked, stepped), (engine, stepped))
        )
    return found
