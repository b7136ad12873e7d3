"""Other processes compile what is wished for; whatever becomes of them, kernels are there."""

from __future__ import annotations

import logging
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from tramontane.testing.import_cost import heavy_imports
from tramontane_backend_cpu import compile_client, object_cache, precompile
from tramontane_backend_cpu.compile_client import OtherProcess
from tramontane_backend_cpu.compiling import compiled
from tramontane_backend_cpu.kernels import attention, rows
from tramontane_backend_cpu.kernels.gated import gated
from tramontane_backend_cpu.kernels.matmul import Packing, affine_kernel
from tramontane_backend_cpu.kernels.repack import repack_plane
from tramontane_backend_cpu.numba_setup import Kernel, missing, native
from tramontane_backend_cpu.object_file import _sections
from tramontane_backend_cpu.precompile import Compilers
from tramontane_backend_cpu.vector.target import SET

EXECUTABLE = 4
BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
SENT = "import sys; sys.stdin.buffer.readline(); out = sys.stdout.buffer; "


@pytest.fixture
def compilers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Compilers]:
    """Nothing is compiled yet, and nothing wished for."""
    own = Compilers()
    monkeypatch.setattr(precompile, "_compilers", own)
    monkeypatch.setattr(object_cache, "folder", lambda: tmp_path / compile_client.folder().name)
    yield own
    own.close()


def fresh(name: str) -> Kernel:
    """A kernel that adds two vectors, or the like; not the process's own, which may be ready."""
    known, kernel = rows.binary(name), rows.binary.__wrapped__(name)
    kernel.origin = known.origin
    return kernel  # type: ignore[no-any-return]


def works(kernel: Kernel, name: str) -> bool:
    x, y = np.arange(1, 22, dtype=np.float32), np.full(21, 3, np.float32)
    out = np.empty(21, np.float32)
    told = np.array([x.ctypes.data, 0, y.ctypes.data, 0, out.ctypes.data, 0, 21], np.int64)
    kernel.ctypes(told.ctypes.data, 0, 1)
    return np.array_equal(out, BINARY[name](x, y))


def code(found: bytes) -> list[bytes]:
    """An object's instructions: names in it differ each time."""
    sections = [s for s in _sections(found) if s.flags & EXECUTABLE]
    return [found[s.offset : s.offset + s.size] for s in sections]


def test_wishes_come_true(compilers: Compilers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tramontane.progress")
    kernels = {name: fresh(name) for name in BINARY}
    compilers.wish(kernels.values(), 2)
    compilers.wish(kernels.values(), 2)  # they are on their way
    assert all(works(kernel, name) for name, kernel in kernels.items())
    said = "compiling kernels for this machine, once (%d of 4)"
    assert [record.message for record in caplog.records] == [said % i for i in range(1, 5)]
    kept = {path.name for path in object_cache.folder().iterdir()}
    assert kept == {kernel.key for kernel in kernels.values()}
    assert not compilers._given_up
    compilers.wish([fresh(name) for name in BINARY], 2)
    assert not compilers._waiting, "what is kept needs nobody"


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="reads its object files"
)
def test_another_process_makes_the_same_code() -> None:
    packing = Packing(4, 32, 8, "f16", "", "")
    process = OtherProcess()
    process.start()
    try:
        for kernel in (rows.pick, affine_kernel(packing, 1, False), rows.unary("gelu")):
            found = process.compiled(kernel)
            assert found is not None
            assert code(found) == code(compiled(kernel)) != []
    finally:
        process.end()


def test_few_are_compiled_here(compilers: Compilers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_client.subprocess, "Popen", _refuse)
    kernels = {name: fresh(name) for name in BINARY}
    compilers.wish(list(kernels.values())[: precompile.LEAST - 1], 8)
    compilers.wish(kernels.values(), 1)  # one thread: another process would only take its turn
    assert all(works(kernel, name) for name, kernel in kernels.items())


def test_what_a_process_is_told_next(compilers: Compilers) -> None:
    here, elsewhere = threading.current_thread(), threading.Thread()
    compilers._modules = {attention.__name__: here, rows.__name__: elsewhere}
    expected = [
        repack_plane,  # of an earlier wish
        attention.split_kernel("f16", attention.FEW),  # the longer first
        attention.attention(""),
        gated(False),  # which shares with what nobody else has
        rows.rms_norm,
    ]  # fmt: skip
    compilers._waiting = dict.fromkeys(reversed(expected), 2) | {repack_plane: 1}
    assert sorted(compilers._waiting, key=compilers._rank) == expected
    compilers._waiting.clear()


def _refuse(*arguments: object, **options: object) -> None:
    raise AssertionError("a process was begun")


def _no_executable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(compile_client.subprocess, "Popen", _refuse)


def _another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/editor/editor")
    monkeypatch.setattr(compile_client.subprocess, "Popen", _refuse)


def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(compile_client.subprocess, "Popen", _refuse)


def _not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(Path(sys.executable).with_name("python-gone")))


def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError("no more processes")

    monkeypatch.setattr(compile_client.subprocess, "Popen", refuse)


def _begins(program: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setattr(compile_client, "BEGIN", program)


def _answering(rest: str) -> Callable[[pytest.MonkeyPatch], None]:
    """One that greets as it should, and then does something else."""

    def arrange(monkeypatch: pytest.MonkeyPatch) -> None:
        name = compile_client.folder().name.encode()
        greeting = len(name).to_bytes(compile_client.SIZE) + name
        program = f"{SENT}out.write({greeting!r}); out.flush(); sys.stdin.buffer.read(8); {rest}"
        monkeypatch.setattr(compile_client, "BEGIN", program)

    return arrange


TROUBLE = {
    "no executable": _no_executable,
    "another program": _another_program,
    "frozen": _frozen,
    "not there": _not_there,
    "no more processes": _no_processes,
    "ends at once": _begins("raise SystemExit(3)"),
    "nothing can be imported": _begins("import not_there_at_all"),
    "hangs at once": _begins("import time; time.sleep(600)"),
    "of another version": _begins(SENT + "out.write(bytes(7) + b'\\3old'); out.flush(); input()"),
    "dies over a kernel": _answering("raise SystemExit(9)"),
    "hangs over a kernel": _answering("import time; time.sleep(600)"),
    "dies in an answer": _answering("out.write(bytes(6) + b'\\xff\\xff12'); out.flush()"),
    "cannot compile it": _answering("out.write(bytes(8)); out.flush(); sys.stdin.read()"),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_kernels_come_whatever_becomes_of_it(
    trouble: str, compilers: Compilers, monkeypatch: pytest.MonkeyPatch
) -> None:
    TROUBLE[trouble](monkeypatch)
    monkeypatch.setattr(precompile, "PATIENCE", 2.0)
    kernels = {name: fresh(name) for name in BINARY}
    compilers.wish(kernels.values(), 2)
    assert all(works(kernel, name) for name, kernel in kernels.items())
    threads = list(compilers._threads)
    compilers.close()
    assert not any(thread.is_alive() for thread in threads)
    assert not [p for p in psutil.Process().children() if "-P" in p.cmdline()]


def test_what_cannot_be_compiled_says_so_here(compilers: Compilers) -> None:
    kernels = [fresh(name) for name in BINARY]
    for kernel in kernels:
        kernel.origin = type(kernel.origin)("tramontane_backend_cpu.kernels.rows", "not_there")  # type: ignore[misc]
    compilers.wish(kernels, 2)
    assert works(kernels[0], "add"), "another process cannot find it, and this one has it"


def test_missing_kernels_are_listed_and_not_compiled() -> None:
    @native(1)
    def another(x):  # type: ignore[no-untyped-def]
        pass

    here = rows.pick.address
    with missing() as found:
        assert (another.address, rows.pick.address) == (0, here)
    assert found == [another]
    assert another.address != 0


def test_a_process_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("TRAMONTANE_API_KEY", "secret")
    monkeypatch.setenv("PYTHONSTARTUP", "hook.py")
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    told = compile_client._environment()
    assert "secret" not in told.values()
    assert "PYTHONSTARTUP" not in told
    assert told["NUMBA_CPU_NAME"] == "haswell"
    assert told["TRAMONTANE_INSTRUCTIONS"] == SET.name


def test_kernels_are_compiled_without_torch() -> None:
    everything = (
        "import pkgutil, importlib\n"
        "import tramontane_backend_cpu.compile_worker, tramontane_backend_cpu.compiling\n"
        "import tramontane_backend_cpu.step.interpreter, tramontane_backend_cpu.kernels as k\n"
        "for module in pkgutil.iter_modules(k.__path__, f'{k.__name__}.'):\n"
        "    importlib.import_module(module.name)"
    )
    assert set(heavy_imports(everything)) <= {"numba", "numpy", "psutil"}


LEAVES = """\
import threading, time
from tramontane_backend_cpu import precompile
from tramontane_backend_cpu.kernels import rows
wished = [rows.unary(name) for name in rows.UNARY]
precompile.wish(wished, 2)
for kernel in wished:
    threading.Thread(target=lambda asked: asked.address, args=(kernel,), daemon=True).start()
time.sleep(0.5)
"""


def test_a_process_may_end_before_its_kernels_are_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], capture_output=True, text=True, check=False,
        env=_fresh_cache(tmp_path), timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_compiles_for_itself(compilers: Compilers) -> None:
    kernels = {name: fresh(name) for name in BINARY}
    compilers.wish(kernels.values(), 2)
    child = os.fork()
    if child == 0:  # pytest must not see it
        try:
            os._exit(0 if precompile._compilers is not compilers else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert all(works(kernel, name) for name, kernel in kernels.items())


PARENT = """\
import logging, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job of a shell may ignore it
from tramontane import memory
from tramontane_backend_cpu import precompile
memory.free = lambda: 1 << 40  # whatever else fills the memory
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("numba").setLevel(logging.WARNING)
from tramontane_backend_cpu.kernels import rows
wished = [rows.unary(name) for name in rows.UNARY] + [rows.binary(name) for name in rows.BINARY]
precompile.wish(wished, 2)
print("begun", flush=True)
time.sleep(60)
"""


def _fresh_cache(folder: Path) -> dict[str, str]:
    """An environment in which nothing is compiled yet, whatever tests before have set."""
    inherited = {key: os.environ[key] for key in os.environ if key != "NUMBA_CACHE_DIR"}
    return {**inherited, "TRAMONTANE_CACHE": str(folder)}


@contextmanager
def begun(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A process that has begun others, and these."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=_fresh_cache(folder), start_new_session=True,
    ) as parent:  # fmt: skip
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "begun\n"
            children: list[psutil.Process] = []
            while len(children) < 2 and parent.poll() is None:
                children = psutil.Process(parent.pid).children()
                time.sleep(0.02)
            assert len(children) == 2, parent.communicate()[1]
            yield parent, children
        finally:
            parent.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_processes_end_with_the_one_that_began_them(how: str, tmp_path: Path) -> None:
    with begun(tmp_path) as (parent, children):
        if how == "SIGINT":  # as a terminal does
            os.killpg(parent.pid, signal.SIGINT)
        else:
            parent.send_signal(getattr(signal, how))
        _, errors = parent.communicate(timeout=60)
        _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert errors.count("Traceback") == (how == "SIGINT"), "its own, and of nobody else"


def test_who_waits_for_a_kernel_keeps_nobody_from_wishing(
    compilers: Compilers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering("import time; time.sleep(600)")(monkeypatch)
    kernels = [fresh(name) for name in BINARY]
    compilers.wish(kernels, 2)
    waiting = threading.Thread(target=lambda: kernels[0].address, daemon=True)
    waiting.start()
    while not compilers._begun:
        time.sleep(0.01)
    compilers.wish([*kernels, *(fresh(name) for name in BINARY)], 2)
    assert waiting.is_alive()
    assert not kernels[0].is_ready()
    compilers.close()
    waiting.join(60)
    assert kernels[0].is_ready()
