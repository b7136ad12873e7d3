"""Logits of prompts with images against transformers, from the same arrays on.

Every configuration on the CPU backend, one of each family on the reference; `./dev test --full`
takes all on both.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .compared import DEVICES, differences
from .latents import ALL

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
FIRST = {ALL[name].name: name for name in reversed(ALL)}
CASES = [
    (name, device)
    for name, vision in ALL.items()
    for device in DEVICES
    if FULL or device == "cpu" or FIRST[vision.name] == name
]


@pytest.mark.parametrize(("name", "device"), CASES)
def test_logits_and_tokens(name: str, device: str, tmp_path: Path) -> None:
    for found in differences(ALL[name], tmp_path, (device,)):
        assert found.logits < 1e-4, found
        assert found.tokens, found
