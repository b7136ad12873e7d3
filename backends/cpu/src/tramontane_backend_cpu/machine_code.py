"""Compiled kernels in memory."""

from __future__ import annotations

import logging

from .object_file import Linked, Unknown

NAME = "tramontane_kernel"
"""What every kernel's own function is called in its object."""
log = logging.getLogger(__name__)


class Code:
    """An object file's code, for as long as this is kept. Has one linker to itself, since the
    names of what kernels are made of may be the same in several."""

    def __init__(self, found: bytes) -> None:
        self._kept: object
        try:
            self._kept = linked = Linked(found)
            self.address = linked.address_of(NAME)
        except Unknown as unknown:
            log.debug("llvmlite links a kernel: %s", unknown)
            self.address, self._kept = _by_llvm(found)


def _by_llvm(found: bytes) -> tuple[int, object]:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(codemodel="jitdefault", jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(found))
    engine.finalize_object()
    return int(engine.get_function_address(NAME)), engine
