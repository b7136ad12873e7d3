"""Compiled kernels in files: found again, mended when damaged, done without when nothing can be
written; and numba and LLVM stay out of a process that finds all it needs."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tramontane_backend_cpu import object_cache
from tramontane_backend_cpu.kernels import quantize, rows
from tramontane_backend_cpu.kernels.matmul import Packing, affine_kernel
from tramontane_backend_cpu.numba_setup import Kernel, native, njit

CODE = """\
import logging, sys
logging.basicConfig(format="%(message)s")
logging.getLogger("tramontane.progress").setLevel(logging.INFO)
import numpy as np
from tramontane_backend_cpu.kernels.rows import binary, pick
assert "numba" not in sys.modules
x, out = np.arange(21, dtype=np.float32), np.empty(21, np.float32)
told = [x.ctypes.data, 0, x.ctypes.data, 0, out.ctypes.data, 0, 21]
binary("add").ctypes(np.array(told, np.int64).ctypes.data, 0, 1)
assert np.array_equal(out, x + x)
print("numba" in sys.modules, "llvmlite.binding" in sys.modules)
"""


def run(folder: Path) -> tuple[bool, str]:
    """Whether a process that adds two vectors imported numba and LLVM, and what it said."""
    environment = {**os.environ, "TRAMONTANE_CACHE": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    numba, llvm = done.stdout.split()
    if sys.platform == "linux" and platform.machine() == "x86_64":
        assert numba == llvm
    return numba == "True", done.stderr


def test_what_was_compiled_is_found_without_numba(tmp_path: Path) -> None:
    compiled, said = run(tmp_path)
    assert compiled
    assert "compiling kernels for this machine, once (1 of 1)" in said
    assert run(tmp_path) == (False, "")
    (file,) = tmp_path.rglob("*.o")  # and nothing that was not needed
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 1
    file.write_bytes(held)
    compiled, said = run(tmp_path)
    assert compiled, said
    assert run(tmp_path) == (False, "")
    file.write_bytes(held[:20])
    assert run(tmp_path)[0]


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    compiled, said = run(blocked)
    assert compiled
    assert said.count("cannot keep compiled kernels") == 1


def test_a_kernel_that_another_process_reads_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError("in use")

    object_cache._warn.cache_clear()
    monkeypatch.setattr(object_cache, "folder", lambda: tmp_path)
    object_cache.keep("kernel.o", b"code")
    monkeypatch.setattr(os, "replace", refuse)  # as Windows does while a file is open
    object_cache.keep("kernel.o", b"code")
    assert object_cache.kept("kernel.o") == b"code"
    assert caplog.text == ""
    object_cache.keep("other.o", b"code")
    assert "cannot keep compiled kernels: in use" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.o"]
    object_cache._warn.cache_clear()


def test_kernels_are_told_apart() -> None:
    packing = Packing(4, 32, 8, "f16", "", "")
    kernels = [
        rows.rms_norm, rows.layer_norm, rows.unary("silu"), rows.unary("gelu"),
        rows.binary("add"), quantize.quantizer(False, False), quantize.quantizer(True, True),
        affine_kernel(packing, 1, False), affine_kernel(packing, 4, False),
        affine_kernel(packing, 1, True), affine_kernel(Packing(4, 32, 8, "bf16", "", ""), 1, False),
    ]  # fmt: skip
    keys = [object_cache.key_of(kernel.function) for kernel in kernels]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert keys[-4] == object_cache.key_of(affine_kernel.__wrapped__(packing, 1, False).function)


def test_what_has_no_lasting_name_is_refused() -> None:
    def kernel_for(thing: object) -> Kernel:
        def kernel(arguments):  # type: ignore[no-untyped-def]
            return thing

        kernel.__module__ = object_cache.PACKAGE + ".kernels.made_up"
        return native(1)(kernel)

    assert object_cache.key_of(kernel_for((1, "a", np.float32(2))).function) is not None
    with pytest.raises(TypeError, match="no lasting name"):
        object_cache.key_of(kernel_for(object()).function)


def test_what_its_parts_are_made_for_tells_a_kernel_apart() -> None:
    def kernel_for(number: int) -> Kernel:
        @njit
        def part(x):  # type: ignore[no-untyped-def]
            return x + number

        def kernel(arguments):  # type: ignore[no-untyped-def]
            return part(arguments)

        kernel.__module__ = object_cache.PACKAGE + ".kernels.made_up"
        return native(1)(kernel)

    keys = [object_cache.key_of(kernel_for(number).function) for number in (1, 2, 1)]
    assert keys[0] == keys[2] != keys[1]


def test_kernels_of_others_are_not_kept() -> None:
    @njit
    def twice(number):  # type: ignore[no-untyped-def]
        return 2 * number

    @native(2, result=True)
    def both(a, b):  # type: ignore[no-untyped-def]
        return twice(a) + b

    assert object_cache.key_of(both.function) is None
    assert both.ctypes(3, -4) == 2
    assert "tramontane_kernel" in both.assembly()
