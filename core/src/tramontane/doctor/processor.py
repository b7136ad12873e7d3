"""The CPU: its name, its instruction sets, and how much of it this process may use."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Collection
from pathlib import Path

from tramontane.system.cores import allowed_cores

from .finding import Finding

CGROUP = Path("/sys/fs/cgroup")
TELLING = (
    "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni",
    "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
"""Instruction sets that decide which kernels run."""


def processor() -> Finding:
    """One line about the CPU."""
    import psutil

    physical = psutil.cpu_count(logical=False)
    logical = psutil.cpu_count() or os.cpu_count() or 1
    usable, flags = usable_cores(), features()
    cores = f"{usable} of {logical} cores usable" if usable < logical else f"{logical} cores"
    if physical and physical < logical:
        cores += f" ({physical} physical)"
    said = f"{model()}, {cores}, {' '.join(flags) or 'no known instruction sets'}"
    details = {
        "model": model(),
        "physical": physical,
        "logical": logical,
        "usable": usable,
        "container_limit": quota(),
        "features": flags,
    }
    if platform.machine().lower() in ("x86_64", "amd64") and flags and "avx2" not in flags:
        remedy = "small models and short prompts, or another machine"
        return Finding("cpu", "warning", f"{said}: without AVX2 it is slow", remedy, details)
    if slower := lacking(flags):
        return Finding("cpu", "ok", f"{said}: {slower}", details=details | {"lacks": slower})
    return Finding("cpu", "ok", said, details=details)


def lacking(flags: Collection[str] | None = None) -> str:
    """What an x86 processor lacks that newer ones have, and what that costs; else nothing.

    The figures are docs/benchmarks.md's, of one machine that plays older ones.
    """
    has = features() if flags is None else flags
    if "avx2" not in has or "avx512_vnni" in has:
        return ""
    if "avx_vnni" in has:
        return f"no AVX-512, without which {COST.format(prefill=48, decode=98)}"
    if "avx512bw" in has:
        return "no VNNI, so products of bytes take more instructions"
    return f"no VNNI and no AVX-512, without which {COST.format(prefill=40, decode=95)}"


COST = (
    "prefill reached {prefill} % and decoding {decode} % of the speed, "
    "measured with a small Q4_0 model"
)


def usable_cores() -> int:
    """Logical cores that this process may keep busy: its affinity and its container's share."""
    counted, limit = allowed_cores(), quota()
    return max(1, min(counted, round(limit) if limit else counted))


def quota(root: Path = CGROUP) -> float | None:
    """Cores' worth of time that a container gets (cgroup v2, then v1); None: no limit."""
    try:
        given, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            given = (root / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        share = int(given) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return share if share > 0 else None


def model() -> str:
    """What the maker calls it."""
    lines = (line.partition(":") for line in _cpuinfo())
    told = {name.strip(): value.strip() for name, _, value in lines}
    for name in ("model name", "Hardware", "Model"):  # the last two on Arm; x86 has a "model" too
        if told.get(name):
            return told[name]
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def features() -> list[str]:
    """Those of TELLING that the CPU has."""
    for line in _cpuinfo():
        if line.lower().startswith(("flags", "features")):
            flags = set(line.partition(":")[2].split())
            return [name for name in TELLING if name in flags]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        more = {"asimddp": "DotProd", "i8mm": "I8MM", "bf16": "BF16"}
        told = [n for n, name in more.items() if _sysctl(f"hw.optional.arm.FEAT_{name}") == "1"]
        return ["asimd", *told]
    words = _sysctl("machdep.cpu.leaf7_features").lower().split()
    return [name for name in TELLING if name in words]


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return []


def _sysctl(name: str) -> str:
    if platform.system() != "Darwin":
        return ""
    done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()
