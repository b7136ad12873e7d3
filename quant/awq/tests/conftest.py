from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden" / "quant" / "data" / "gptq-awq"


@pytest.fixture(scope="session")
def golden() -> Path:
    """What the format's library wrote. It is not part of the repository."""
    if not GOLDEN.is_dir():
        pytest.skip(f"no checkpoints at {GOLDEN}")
    return GOLDEN
