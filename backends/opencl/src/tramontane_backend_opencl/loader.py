"""Ask the OpenCL loader what devices there are, by its C interface: importing pyopencl takes a
fifth of a second, and this is asked on every start."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import byref, c_char_p, c_size_t, c_uint, c_uint64, c_void_p, create_string_buffer
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ALL, GPU, CPU = 0xFFFFFFFF, 4, 2
NAME, VERSION, EXTENSIONS, TYPE, MEMORY = 0x102B, 0x102F, 0x1030, 0x1000, 0x101F
UNIFIED, AVAILABLE, COMPILER, ENDIAN, WORK_GROUP = 0x1035, 0x1027, 0x1028, 0x1026, 0x1004
PLATFORM_NAME = 0x0902
NOT_THERE = -1001
"""What a loader says that knows no driver."""
VENDORS = Path("/etc/OpenCL/vendors")
FEATURES = {
    "cl_khr_fp16": "fp16", "cl_khr_subgroups": "subgroups",
    "cl_khr_integer_dot_product": "integer dot",
}  # fmt: skip


class LoaderError(Exception):
    """The loader, or a driver, failed; says which call."""


@dataclass(frozen=True)
class Found:
    """A device as its driver describes it. memory: in bytes. unified: it is the processor's. lacks:
    what it would need to run models; empty: nothing."""

    name: str
    platform: str
    version: str
    memory: int
    is_processor: bool
    unified: bool
    features: tuple[str, ...] = ()
    lacks: str = ""


def look() -> list[Found]:
    """All devices; none where there is no pyopencl or no driver. Raises LoaderError."""
    if find_spec("pyopencl") is None or not drivers():
        return []
    library = loader()
    return [] if library is None else list(_asked(library))


def drivers() -> list[str]:
    """Files that name a driver, as the loader looks for them."""
    if sys.platform in ("win32", "darwin"):
        return ["of the system"]
    wanted = os.environ.get("OCL_ICD_VENDORS")
    folders = [Path(wanted)] if wanted else [VENDORS, *_own_folders()]
    found = [str(file) for folder in folders if folder.is_dir() for file in folder.glob("*.icd")]
    if wanted and Path(wanted).is_file():
        found.append(wanted)
    return found


def _own_folders() -> list[Path]:
    """Where pyopencl's wheel has a loader, and drivers that were installed beside it."""
    spec = find_spec("pyopencl")
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent / ".libs", Path(spec.origin).parents[1] / "pyopencl.libs"]


SYSTEM = {
    "darwin": ("/System/Library/Frameworks/OpenCL.framework/OpenCL",), "win32": ("OpenCL.dll",),
}  # fmt: skip
"""The system's own, where that is not Linux."""


def loader() -> ctypes.CDLL | None:
    """pyopencl's own loader, or the system's."""
    names: list[str] = [
        str(file) for folder in _own_folders() for file in folder.glob("libOpenCL*")
    ]
    spec = find_spec("pyopencl")
    if names and spec is not None and spec.origin is not None:
        # where its loader looks for drivers beside itself; without, it reads a null pointer
        os.environ.setdefault("PYOPENCL_HOME", str(Path(spec.origin).parent))
        _preload(Path(spec.origin).parent / ".libs")
    # by name: ctypes.util.find_library begins processes to look for it
    for name in (*names, *SYSTEM.get(sys.platform, ("libOpenCL.so.1", "libOpenCL.so"))):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _preload(folder: Path) -> None:
    """Load drivers beside pyopencl's loader, which names them without their folder."""
    for file in folder.glob("*.icd"):
        named = folder / file.read_text(encoding="utf-8").strip()
        if named.is_file():
            try:
                _kept.append(ctypes.CDLL(str(named)))
            except OSError:
                continue


_kept: list[ctypes.CDLL] = []


@cache
def _asked(library: ctypes.CDLL) -> tuple[Found, ...]:
    found: list[Found] = []
    for platform in _handles(library.clGetPlatformIDs, "clGetPlatformIDs"):
        name = _text(library.clGetPlatformInfo, platform, PLATFORM_NAME)

        def ask(count: int, into: object, size: object, of: c_void_p = platform) -> int:
            return int(library.clGetDeviceIDs(of, c_uint64(ALL), c_uint(count), into, size))

        for device in _handles(ask, "clGetDeviceIDs"):
            found.append(_described(library, device, name))
    return tuple(found)


def _handles(call: object, name: str) -> list[c_void_p]:
    """What a call gives that is asked for a number first, then for so many handles."""
    count = c_uint()
    code = call(0, None, byref(count))  # type: ignore[operator]
    if code in (NOT_THERE, -1):
        return []
    if code:
        raise LoaderError(f"{name} returned {code}")
    made = (c_void_p * count.value)()
    if code := call(count.value, made, None):  # type: ignore[operator]
        raise LoaderError(f"{name} returned {code}")
    return [c_void_p(each) for each in made]


def _described(library: ctypes.CDLL, device: c_void_p, platform: str) -> Found:
    def number(what: int, width: type = c_uint) -> int:
        value = width()
        code = library.clGetDeviceInfo(
            device, what, c_size_t(ctypes.sizeof(value)), byref(value), None
        )
        if code:
            raise LoaderError(f"clGetDeviceInfo({what:#x}) returned {code}")
        return int(value.value)

    extensions = _text(library.clGetDeviceInfo, device, EXTENSIONS).split()
    version = _text(library.clGetDeviceInfo, device, VERSION)
    lacks = ""
    if _numbers(version) < (1, 2):
        lacks = f"it has {version}, and 1.2 is needed"
    elif not number(AVAILABLE) or not number(COMPILER):
        lacks = "its driver has no compiler, or says that it is not available"
    elif not number(ENDIAN):
        lacks = "its numbers are big-endian"
    return Found(
        name=_text(library.clGetDeviceInfo, device, NAME),
        platform=platform,
        version=version,
        memory=number(MEMORY, c_uint64),
        is_processor=bool(number(TYPE, c_uint64) & CPU),
        unified=bool(number(UNIFIED)),
        features=tuple(name for word, name in FEATURES.items() if word in extensions),
        lacks=lacks,
    )


def _text(call: object, of: c_void_p, what: int) -> str:
    size = c_size_t()
    code = call(of, what, c_size_t(0), None, byref(size))  # type: ignore[operator]
    if code:
        raise LoaderError(f"what {what:#x} is was not answered: {code}")
    buffer = create_string_buffer(max(1, size.value))
    call(of, what, size, buffer, None)  # type: ignore[operator]
    told: c_char_p = c_char_p(buffer.value)
    return (told.value or b"").decode("utf-8", "replace").strip()


def _numbers(version: str) -> tuple[int, ...]:
    """Of "OpenCL 3.0 PoCL 3.0": (3, 0)."""
    words = version.split()
    parts = words[1].split(".") if len(words) > 1 else []
    return tuple(int(part) for part in parts if part.isdigit())
