"""Prints kernels as they are compiled for another machine, which this one cannot run.

    python other_machine.py TRIPLE CPU FEATURES

LLVM writes for every machine from any; only loading what was compiled must be left out.
"""

from __future__ import annotations

import os
import re
import sys

import llvmlite.binding as llvm

LABEL = re.compile(r"(\S+):")
JUMP = re.compile(r"\s+(?:j\w+|b(?:\.\w+)?|cbn?z|tbn?z)\s+(?:\S+, )*(\S+)")
SPILL = re.compile(r"[xyz]mm\d.*\(%rsp|\(%rsp.*[xyz]mm\d|\bq\d.*\[sp|\bv\d.*\[sp")
PRODUCT = re.compile(r"\s+v?(?:p?dp|pmadd|pmul|mul|mla|su?dot|udot|usdot|smull)")
COMMENT = re.compile(r"\s*(#|//|;)")


def inner_loop(assembly: str) -> list[str]:
    """Of the loops that have no loop inside the one with the most products."""
    lines = [line for line in assembly.splitlines() if line and not COMMENT.match(line)]
    labels = {found[1]: i for i, line in enumerate(lines) if (found := LABEL.match(line))}
    jumps = [
        (labels.get(found[1], i), i) for i, line in enumerate(lines) if (found := JUMP.match(line))
    ]
    loops = [(a, b) for a, b in jumps if a < b]
    inner = [lines[a:b] for a, b in loops if not any(a <= c and d < b for c, d in loops)]
    return max(inner, key=lambda loop: sum(bool(PRODUCT.match(line)) for line in loop))


def spills(loop: list[str]) -> int:
    """Instructions that keep a vector on the stack, or take it from there."""
    return sum(bool(SPILL.search(line)) for line in loop)


def main(triple: str, cpu: str, features: str) -> None:
    """Prints the set that is chosen, then the inner loop of each kernel."""
    os.environ.pop("TRAMONTANE_INSTRUCTIONS", None)
    os.environ.update(NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES=features)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        llvm.Target.from_triple(triple)
    except RuntimeError as error:
        print(f"no such target: {error}")
        return
    llvm.get_process_triple = lambda: triple
    from numba.core import codegen
    from tramontane_backend_cpu import cpu_features

    cpu_features.host = lambda: cpu_features.Host(cpu, triple, ())

    codegen.JITCodeLibrary._finalize_specific = lambda library: None
    from tramontane_backend_cpu.kernels.matmul import Packing, affine_kernel
    from tramontane_backend_cpu.vector.target import SET

    print(SET.name)
    for bits, zero in ((4, 8), (8, 128)):
        packing = Packing(bits, 32, zero, scale="f16", minimum="", above="")
        for tile in (1, SET.tile):
            loop = inner_loop(affine_kernel(packing, tile, False).assembly())
            print(f"-- {bits} bits, tile of {tile}: {len(loop)}, spills {spills(loop)}")
            print("\n".join(loop))


if __name__ == "__main__":
    main(*sys.argv[1:])
