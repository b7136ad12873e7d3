"""Python, torch, and the threads that they would use."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from tramontane.version import __version__

from .finding import Finding
from .processor import usable_cores

PACKAGES = ("numpy", "numba", "pydantic", "tokenizers", "safetensors", "huggingface_hub")
THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
PINNING = ("GOMP_CPU_AFFINITY", "KMP_AFFINITY", "OMP_PLACES", "OMP_PROC_BIND")


def software() -> Iterator[Finding]:
    """What runs."""
    yield Finding("tramontane", "ok", __version__, details={"version": __version__})
    yield _python()
    yield _torch()
    found = {name: said for name in PACKAGES if (said := _version(name))}
    yield Finding("packages", "ok", ", ".join(f"{n} {v}" for n, v in found.items()), details=found)


def _python() -> Finding:
    said = f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"
    return Finding("python", "ok", said, details={"version": platform.python_version()})


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library that is missing
        said = f"cannot be imported: {error}"
        return Finding("torch", "problem", said, "pip install torch, in this same environment")
    threads, cores = torch.get_num_threads(), usable_cores()
    details = {"version": torch.__version__, "threads": threads}
    said = f"{torch.__version__}, {threads} thread{'s' if threads > 1 else ''}"
    if threads > cores:
        return Finding(
            "torch",
            "warning",
            f"{said} on {cores} usable cores: threads compete for cores",
            f"OMP_NUM_THREADS={cores}, or --threads {cores}",
            details,
        )
    return Finding("torch", "ok", said, details=details)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def threads(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Settings by which the environment slows a program down without a word."""
    cores = usable_cores()
    given = {name: environment[name] for name in (*THREADS, *PINNING) if name in environment}
    odd = False
    for name in THREADS:
        if name not in given:
            continue
        value = given[name]
        remedy = f"unset {name}, or set it to at most {cores}"
        # OpenMP takes a list, one number for each level of nesting
        first = value.split(",")[0].strip()
        if not first.isdigit() or int(first) == 0:
            odd = True
            yield Finding("threads", "warning", f"{name}={value!r} is not a count", remedy, given)
        elif int(first) > cores:
            odd = True
            said = f"{name}={value}, and {cores} cores are usable"
            yield Finding("threads", "warning", said, remedy, given)
        elif int(first) == 1 < cores:
            odd = True
            said = f"{name}=1 leaves {cores - 1} of {cores} cores idle"
            yield Finding("threads", "warning", said, remedy, given)
    if not odd:
        said = ", ".join(f"{name}={value}" for name, value in given.items())
        yield Finding("threads", "ok", said or "no setting in the environment", details=given)
