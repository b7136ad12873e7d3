"""What begins before torch is imported."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from tramontane.backend import Device
from tramontane.plugin import Backend, Model
from tramontane.registry import Registry
from tramontane.system import preload
from tramontane.system.devices import reference_device

LIBRARY = """
import sys, threading
from tramontane.system.preload import begin
from tramontane.registry import Registry
begin("nowhere", "auto", Registry())
assert "torch" not in sys.modules
for thread in threading.enumerate():
    if thread.name == "tramontane-torch":
        thread.join()
assert "libtorch_cpu" in open("/proc/self/maps").read()
assert "torch" not in sys.modules
import torch
print(int(torch.arange(5).sum()))
"""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """How many bytes and threads a backend is told of."""
    found: list[tuple[int, int | None]] = []
    module = ModuleType("a_backend_of_tests")
    module.expect = lambda *given: found.append(given)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def choose(wanted: str, registry: Registry) -> tuple[Device, Backend | None]:
        target = f"{module.__name__}:expect" if wanted == "ours" else None
        offer = Backend(name="ours", probe="a:b", prepare="a:b", expect=target)
        return reference_device(), None if wanted == "reference" else offer

    monkeypatch.setattr(preload, "choose_device", choose)
    monkeypatch.setattr(preload, "_too_late", lambda: False)
    return found


def test_a_backend_is_told_of_a_file(told: list[tuple[int, int | None]], tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(bytes(1000))
    preload.begin(str(tmp_path / "model.gguf"), "ours", Registry(), 3)
    assert told == [(1000, 3)]


def test_a_backend_is_told_of_a_folder(told: list[tuple[int, int | None]], tmp_path: Path) -> None:
    for name in ("model-1.safetensors", "model-2.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(bytes(300))
    preload.begin(str(tmp_path), "ours", Registry())
    assert told == [(600, None)]


def test_a_backend_is_told_of_an_installed_model(
    told: list[tuple[int, int | None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_model_of_tests").mkdir()
    (tmp_path / "a_model_of_tests" / "model.gguf").write_bytes(bytes(500))
    monkeypatch.syspath_prepend(tmp_path)
    offer = Model(name="small", summary="Is small.", file="a_model_of_tests:model.gguf")
    registry = Registry()
    monkeypatch.setattr(registry, "names", lambda kind: ["small"])
    monkeypatch.setattr(registry, "get", lambda record, name: offer)
    preload.begin("small", "ours", registry)
    assert told == [(500, None)]


def test_nothing_begins_where_torch_is(
    told: list[tuple[int, int | None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    (tmp_path / "model.gguf").write_bytes(bytes(1000))
    monkeypatch.setattr(preload, "choose_device", None)  # would fail if it were called
    monkeypatch.setitem(sys.modules, "torch", sys.modules.get("torch", ModuleType("torch")))
    preload.begin(str(tmp_path / "model.gguf"), "auto", Registry())
    assert told == []


@pytest.mark.parametrize("device", ["reference", "without"])
def test_others_are_not(device: str, told: list[tuple[int, int | None]], tmp_path: Path) -> None:
    preload.begin(str(tmp_path), device, Registry())
    preload.begin("org/name", device, Registry())
    assert told == []


def cached(path: Path) -> int:
    """How many pages of a file are in the system's cache."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        told = ctypes.create_string_buffer(-(-len(mapped) // mmap.PAGESIZE))
        whole = (ctypes.c_char * len(mapped)).from_buffer(mapped)
        done = library.mincore(ctypes.addressof(whole), len(mapped), told)
        del whole
    assert done == 0
    return sum(byte & 1 for byte in told.raw)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what it has in its cache")
def test_files_are_read_ahead(told: list[tuple[int, int | None]], tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(range(256)) * (8 << 12))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if cached(path):
        pytest.skip("this file system keeps what it was told to let go")
    preload.begin(str(path), "reference", Registry())
    until = time.monotonic() + 30
    while not cached(path) and time.monotonic() < until:
        time.sleep(0.01)
    assert cached(path) > 0
    assert told == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks at what Linux says is mapped")
def test_the_library_is_there_before_the_module() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "10"
