"""Kernels as they are compiled for machines that this one is not: the code itself is looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tramontane_backend_cpu.vector.target import SETS

from .other_machine import spills

SCRIPT = Path(__file__).parent / "other_machine.py"
LINUX, WINDOWS = "x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc"
ARM, APPLE = "aarch64-unknown-linux-gnu", "arm64-apple-darwin23.0.0"
AVX2 = "+avx2,+fma,+f16c"
SUMS = 7
"""`Machine.stack` where a tile's sums of floats stay there, each read and written once a unit."""
AVX512 = f"{AVX2},+avx512f,+avx512bw,+avx512vl,+avx512dq,+avx512vnni"


@dataclass(frozen=True)
class Machine:
    """What LLVM is told, the set that must be chosen, and what its inner loops must have.

    stack: how many of a loop's instructions in a hundred may go to the stack.
    """

    triple: str
    cpu: str
    features: str
    set: str
    product: str
    fused: str
    stack: int = 1


MACHINES = [
    Machine(
        LINUX,
        "znver4",
        f"{AVX512},+avx512bf16,+avx512vbmi",
        "avx512-vbmi",
        r"vpdpbusd .*zmm",
        "vfmadd",
    ),
    Machine(
        LINUX, "cooperlake", f"{AVX512},+avx512bf16", "avx512-bf16", r"vpdpbusd .*zmm", "vfmadd"
    ),
    Machine(LINUX, "cascadelake", AVX512, "avx512-vnni", r"vpdpbusd .*zmm", "vfmadd"),
    Machine(
        WINDOWS, "alderlake", f"{AVX2},+avxvnni", "avx2-vnni", r"vpdpbusd .*ymm", "vfmadd", SUMS
    ),
    Machine(LINUX, "haswell", AVX2, "avx2", "vpmaddubsw .*ymm", "vfmadd", SUMS),
    Machine(WINDOWS, "znver3", AVX2, "avx2", "vpmaddubsw .*ymm", "vfmadd", SUMS),
    Machine(APPLE, "apple-m2", "+neon,+dotprod,+i8mm,+bf16", "neon-mixed", "usdot", "fmla"),
    Machine(ARM, "neoverse-v1", "+neon,+dotprod,+i8mm,+bf16", "neon-mixed", "usdot", "fmla"),
    Machine(APPLE, "apple-m1", "+neon,+dotprod", "neon-dot", "sdot", "fmla"),
    Machine(ARM, "cortex-a76", "+neon,+dotprod", "neon-dot", "sdot", "fmla"),
    Machine(ARM, "cortex-a72", "+neon", "neon", "smull|smlal", "fmla", stack=5),
    # no processor has so many registers as the portable set would like, nor what the others have
    Machine(LINUX, "x86-64", "+sse2", "portable", "pmul|pmadd", "mulps", stack=100),
]


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES, ids=lambda each: f"{each.cpu}, {each.set}")
def test_inner_loops(machine: Machine) -> None:
    told = [machine.triple, machine.cpu, machine.features]
    done = subprocess.run(
        [sys.executable, SCRIPT, *told], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    name, *loops = re.split(r"^-- (.*)\n", done.stdout, flags=re.MULTILINE)
    if name.startswith("no such target"):
        pytest.skip(f"this LLVM writes for fewer machines: {name.strip()}")
    assert name.strip() == machine.set
    assert len(loops) == 2 * 4  # a title and a loop, for 4 and 8 bits and tiles of one and all
    for title, text in zip(loops[::2], loops[1::2], strict=True):
        loop = text.splitlines()
        assert re.search(machine.product, text.replace("\t", " ")), title
        assert machine.fused in text, title
        assert spills(loop) <= machine.stack * len(loop) // 100, title
        if machine.set == "portable":
            assert not re.search(r"[yz]mm|\bv\w+ps\b", text), title


def test_every_set_is_looked_at() -> None:
    assert {machine.set for machine in MACHINES} == {kind.name for kind in SETS}
