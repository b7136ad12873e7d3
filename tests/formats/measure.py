"""How far a model in a format is from transformers with the weights that the format stands for."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from tramontane.testing.forward_passes import in_pieces, whole

from tests.parity.paths import TOKENS, opened

from .models import MIXTURES, logits, source
from .record import Format, Variant, Written

DEVICES = ("reference", "cpu")
CHUNKS = [7, 7, 7, 4]
STEPS = CHUNKS + [1] * (len(TOKENS) - sum(CHUNKS))


def write(form: Format, variant: Variant, family: str, folder: Path) -> Written:
    """A model of a family in a format."""
    target = folder / "quantized"
    target.mkdir()
    return variant.write(source(family, form.sizes), target)


def differences(form: Format, variant: Variant, family: str, folder: Path) -> dict[str, float]:
    """For each device, the largest difference of logits as a share of the largest logit: of a
    prompt at once, and on the CPU also of the engine's steps, chunks of the prompt and then single
    tokens, which other kernels compute.

    The reference is held against weights as the format's library rounds them; the CPU, whose
    kernels do not round, against those before rounding. The CPU's step must be recorded, but for
    what the variant says of mixtures.
    """
    made = write(form, variant, family, folder)
    right = {"reference": made.numbers, "cpu": made.exact}
    found = {}
    for device in DEVICES:
        expected = logits(source(family, form.sizes), right[device], TOKENS)
        loaded = opened(made.path, device, dtype="f32", activations="f32")
        model, why = loaded.model, loaded.report.eager_reason
        parts = [whole(model, TOKENS)]
        if device == "cpu":
            assert bool(why) == bool(variant.eager and family in MIXTURES), why
            assert variant.eager in (why or variant.eager), why
            parts.append(in_pieces(model, TOKENS, STEPS, stepped=True))
        found[device] = max(apart(part, expected) for part in parts)
    return found


def apart(mine: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest logit."""
    return float((mine.float() - expected).abs().max() / expected.abs().max())
