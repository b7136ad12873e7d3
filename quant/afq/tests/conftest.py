"""Folders with tiny models, and how they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden" / "quant" / "data" / "mlx"
Load = Callable[..., Loaded]


@pytest.fixture
def golden() -> Callable[[str], Path]:
    """Folders that mlx-lm wrote. They are not part of the repository."""

    def folder(kind: str) -> Path:
        if not (GOLDEN / kind).is_dir():
            pytest.skip(f"{GOLDEN / kind} is not there")
        return GOLDEN / kind

    return folder


@pytest.fixture
def load() -> Load:
    """(folder, device, options) -> the model."""

    def load(folder: Path, device: str = "reference", **options: Any) -> Loaded:
        registry = Registry()
        checkpoint = open_checkpoint(folder, registry)
        return load_model(checkpoint, registry, LoadOptions(device=device, **options))

    return load
