"""Compiled kernels in memory: llvmlite alone loads them, which is a tenth of what numba takes."""

from __future__ import annotations

import llvmlite.binding as llvm

NAME = "tramontane_kernel"
"""What every kernel's own function is called in its object."""


class Code:
    """An object file's code, for as long as this is kept. Has one linker to itself, since the
    names of what kernels are made of may be the same in several."""

    def __init__(self, found: bytes) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(codemodel="jitdefault", jit=True)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(found))
        self._engine.finalize_object()
        self.address: int = self._engine.get_function_address(NAME)
