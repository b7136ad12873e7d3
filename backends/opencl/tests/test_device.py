"""What is found and what `doctor` is told, with drivers that stand in; and what needs no device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tramontane.backend import HOST
from tramontane_backend_opencl import explain, loader
from tramontane_backend_opencl.device import described
from tramontane_backend_opencl.loader import Found, LoaderError
from tramontane_backend_opencl.source import source_of

GB = 1 << 30
ARC = Found("Arc A770", "Intel", "OpenCL 3.0 NEO", 16 * GB, False, False, ("fp16", "subgroups"))
OLD = Found("Old", "Maker", "OpenCL 1.1", GB, False, False, lacks="it has OpenCL 1.1")
POCL = Found("pthread", "PoCL", "OpenCL 3.0 PoCL", 1 << 60, True, True)


def test_devices() -> None:
    arc, pocl = described([OLD, ARC, POCL])
    assert (arc.name, arc.torch_device, arc.dtype) == ("opencl:1", "ocl:1", "float16")
    assert arc.rank > 0 > pocl.rank
    assert (pocl.memory, arc.memory) == (HOST, "opencl:1")
    assert pocl.memory_total < 1 << 60, "a processor's memory is the machine's"


def test_one_device_is_called_by_the_backends_name() -> None:
    assert [each.name for each in described([OLD, ARC])] == ["opencl"]
    assert described([ARC])[0].torch_device == "ocl:0"


def told(there: bool, files: tuple[str, ...], found: Any) -> list[tuple[str, str]]:
    def look() -> list[Found]:
        if isinstance(found, LoaderError):
            raise found
        return list(found)

    return [(each.message, each.remedy) for each in explain.reasons(there, files, look, None)]


@pytest.mark.parametrize(
    ("there", "files", "found", "words", "remedy"),
    [
        (False, (), (), "pyopencl is not installed", "pip install pyopencl"),
        (True, (), (), "no OpenCL driver is registered (OCL_ICD_VENDORS is not set)", "rusticl"),
        (True, ("a.icd",), (), "none finds a device", "driver"),
        (
            True,
            ("a.icd",),
            LoaderError("clGetDeviceIDs returned -6"),
            "does not answer: clGet",
            "dr",
        ),
        (True, ("a.icd",), (OLD,), "not usable: it has OpenCL 1.1", "update its driver"),
        (True, ("a.icd",), (POCL,), "only when asked for", ""),
        (True, ("a.icd",), (ARC,), "fp16, subgroups", ""),
    ],
)
def test_what_doctor_is_told(
    there: bool, files: tuple[str, ...], found: Any, words: str, remedy: str
) -> None:
    ((said, what),) = told(there, files, found)
    assert words in said
    assert remedy in what


def test_drivers_are_looked_for_where_the_loader_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("the system knows its drivers there")
    monkeypatch.setenv("OCL_ICD_VENDORS", str(tmp_path))
    assert loader.drivers() == []
    assert loader.look() == []
    (tmp_path / "one.icd").write_text("libone.so\n")
    assert loader.drivers() == [str(tmp_path / "one.icd")]


def test_without_pyopencl_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "find_spec", lambda name: None)
    assert loader.look() == []


@pytest.mark.parametrize(
    ("version", "numbers"), [("OpenCL 1.2 X", (1, 2)), ("OpenCL 3.0", (3, 0)), ("odd", ())]
)
def test_versions(version: str, numbers: tuple[int, ...]) -> None:
    assert loader._numbers(version) == numbers


def test_probing_is_light() -> None:
    code = (
        "import sys\n"
        "from tramontane_backend_opencl import device, explain\n"
        "device.probe(); explain.explain(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pyopencl"} & set(done.stdout.split())


def test_the_source_is_one_text() -> None:
    made = source_of("product", {"LANES": 1, "STACKED": False}, "PRELUDE\n")
    assert made.startswith("#define LANES 1\n#define STACKED 0\nPRELUDE\n")
    assert made.index("weights_by") < made.index("KERNEL void product")
