"""Sandboxes that this machine gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tramontane.errors import TramontaneError
from tramontane_plugin_sandbox import Limits, Sandbox

MIB = 1 << 20
LIMITS = Limits(
    memory=512 * MIB, processes=32, open_files=64, file_size=32 * MIB, disk=64 * MIB,
    temporary=16 * MIB, seconds=5.0, output=4096, flood=4 * MIB,
)  # fmt: skip
"""Small ones, so that what goes beyond them is soon there."""


def sandbox_or_skip(kind: str, limits: Limits = LIMITS) -> Sandbox:
    try:
        return Sandbox(kind=kind, limits=limits)
    except TramontaneError as error:
        pytest.skip(f"no sandbox {kind} on this machine: {error.message}")


@pytest.fixture(scope="module", params=["namespaces", "bubblewrap"])
def kind(request: pytest.FixtureRequest) -> str:
    """Those that can be had here, one after the other."""
    sandbox_or_skip(request.param).close()
    return str(request.param)


@pytest.fixture
def sandbox(kind: str) -> Iterator[Sandbox]:
    with sandbox_or_skip(kind) as found:
        yield found
