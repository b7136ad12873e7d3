"""Logits of prompts with images against transformers, from the same arrays on."""

from __future__ import annotations

from pathlib import Path

import pytest

from .compared import DEVICES, differences
from .latents import ALL


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ALL)
def test_logits_and_tokens(name: str, device: str, tmp_path: Path) -> None:
    for found in differences(ALL[name], tmp_path, (device,)):
        assert found.logits < 1e-4, found
        assert found.tokens, found
