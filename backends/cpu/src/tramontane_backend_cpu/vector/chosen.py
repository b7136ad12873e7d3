"""The instruction set that this process compiles for."""

from __future__ import annotations

import os

from tramontane.errors import ConfigError

from tramontane_backend_cpu.processor import processor

from .instruction_set import SETS, Portable

VARIABLE = "TRAMONTANE_INSTRUCTIONS"


def features() -> frozenset[str]:
    """What numba compiles for: the machine's features, or NUMBA_CPU_FEATURES."""
    told = os.environ.get("NUMBA_CPU_FEATURES")
    if told is not None:
        return frozenset(name[1:] for name in told.split(",") if name.startswith("+"))
    return frozenset(processor().features)


def fitting() -> list[type[Portable]]:
    """The sets that this machine can run, best first."""
    machine, has = processor().triple, features()
    return [
        kind for kind in SETS if machine.startswith(kind.architecture or "") and kind.needs <= has
    ]


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
