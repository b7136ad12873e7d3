"""Where MKL is, without loading it."""

from __future__ import annotations

import platform
import struct
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

WHEEL = "tramontane-backend-mkl[wheel]"
PATTERNS = {"linux": ("lib/libmkl_rt.so*",), "win32": ("Library/bin/mkl_rt*.dll",)}
"""Below an environment's folder, where wheels and conda put it, by `sys.platform`."""


@dataclass(frozen=True)
class Found:
    """path: of the library that loads the others. version: of its package, or ""."""

    path: Path
    version: str


def can_run(system: str, machine: str, bits: int) -> bool:
    """Whether there is an MKL for such a machine."""
    return system in PATTERNS and machine in ("x86_64", "AMD64") and bits == 64


def here() -> tuple[str, str, int]:
    """This machine, as `can_run` wants it."""
    return sys.platform, platform.machine(), 8 * struct.calcsize("P")


def find() -> Found | None:
    """MKL of this environment; None where there is none, or none can run."""
    if not can_run(*here()):
        return None
    try:
        package = distribution("mkl")
    except PackageNotFoundError:
        return look(Path(sys.prefix))
    files = [Path(str(package.locate_file(each))) for each in package.files or ()]
    stem = "mkl_rt" if sys.platform == "win32" else "libmkl_rt.so"
    paths = sorted(each.resolve() for each in files if each.name.startswith(stem))
    there = [each for each in paths if each.is_file()]
    return Found(there[-1], package.version) if there else look(Path(sys.prefix))


def look(folder: Path) -> Found | None:
    """The newest in an environment's folder."""
    for pattern in PATTERNS.get(sys.platform, ()):
        if paths := sorted(path for path in folder.glob(pattern) if path.is_file()):
            return Found(paths[-1], "")
    return None
