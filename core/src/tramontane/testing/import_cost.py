"""What importing costs: which heavy packages a statement loads, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

HEAVY = frozenset({
    "huggingface_hub", "jinja2", "numba", "numpy", "psutil", "pydantic", "stevedore", "tokenizers",
    "torch", "transformers",
})  # fmt: skip
"""Packages that take tens of milliseconds or seconds to import, and that `--help` never needs."""


def heavy_imports(statement: str) -> list[str]:
    """The heavy packages that a fresh Python has loaded after a statement."""
    ask = f"import sys\n{statement}\nprint(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise ImportError(f"{statement!r} failed:\n{done.stderr}")
    return done.stdout.split()
