"""Models that are quantized while they are loaded: a kind of each quantizer, in turn by family;
`./dev test --full` takes all kinds and families."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from . import isq
from .models import FAMILIES
from .test_formats import FULL

KINDS = [(quantizer, kind) for quantizer, own in isq.kinds().items() for kind in own]
CASES = [(*each, family) for each in KINDS for family in FAMILIES] if FULL else [
    (quantizer, own[turn % len(own)], [*FAMILIES][turn % len(FAMILIES)])
    for turn, (quantizer, own) in enumerate(isq.kinds().items())
]  # fmt: skip


@pytest.mark.parametrize(("quantizer", "kind", "family"), CASES)
def test_logits(quantizer: str, kind: str, family: str, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert isq.difference(quantizer, kind, family, tmp_path) < isq.TOLERANCE
    finally:
        torch.set_num_threads(before)
