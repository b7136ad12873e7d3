"""Compiled kernels in memory."""

from __future__ import annotations

import logging

from .object_file import Linked, Unknown

NAME = "tramontane_kernel"
"""The name of the entry function in each kernel's object file."""
log = logging.getLogger(__name__)


class Code:
    """An object file loaded into memory, for the lifetime of this object. Each has a separate
    linker, because several kernels may contain functions with the same names."""

    def __init__(self, code: bytes) -> None:
        self._memory: object
        try:
            self._memory = linked = Linked(code)
            self.address = linked.address_of(NAME)
        except Unknown as unknown:
            log.debug("llvmlite links a kernel: %s", unknown)
            self.address, self._memory = _by_llvm(code)


def _by_llvm(code: bytes) -> tuple[int, object]:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(codemodel="jitdefault", jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return int(engine.get_function_address(NAME)), engine
