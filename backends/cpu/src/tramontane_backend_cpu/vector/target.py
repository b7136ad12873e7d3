"""The instruction set that this process compiles for."""

from __future__ import annotations

import os

from tramontane.errors import ConfigError

from tramontane_backend_cpu.processor import architecture, features

from .arm import Neon, NeonDot, NeonMixed
from .instruction_set import Portable
from .x86 import Avx2, Avx2Vnni, Avx512Bf16, Avx512Vbmi, Avx512Vnni

SETS: tuple[type[Portable], ...] = (
    Avx512Vbmi, Avx512Bf16, Avx512Vnni, Avx2Vnni, Avx2, NeonMixed, NeonDot, Neon, Portable,
)  # fmt: skip
"""Best first."""
VARIABLE = "TRAMONTANE_INSTRUCTIONS"


def fitting() -> list[type[Portable]]:
    """The sets that this machine can run, best first."""
    machine, has = architecture(), features()
    return [kind for kind in SETS if kind.architecture in (None, machine) and kind.needs <= has]


def choose() -> Portable:
    """The best, or the one that the environment names. Raises ConfigError."""
    possible = fitting()
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted == "auto":
        return possible[0]()
    for kind in possible:
        if kind.name == wanted:
            return kind()
    names = ", ".join(kind.name for kind in possible)
    raise ConfigError(f"{VARIABLE}={wanted}: this machine can run auto, {names}")


SET = choose()
