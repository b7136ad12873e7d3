"""Whether Triton is installed, and whether its interpreter is asked for; without importing it."""

from __future__ import annotations

import os
from importlib.util import find_spec


def installed() -> bool:
    """Whether `import triton` would find it."""
    return find_spec("triton") is not None


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on the CPU: TRITON_INTERPRET=1, which Triton
    reads when it is imported."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1" and installed()
