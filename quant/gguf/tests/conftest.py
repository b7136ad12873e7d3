from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

Fill = Callable[[gguf.GGUFWriter], None]
Write = Callable[..., Path]

DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    """Real files. They are not part of the repository."""
    if not DATA.is_dir():
        pytest.skip(f"no test data at {DATA}")
    return DATA


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file with the gguf package: metadata and tensors are what `fill` adds."""

    def written(fill: Fill | None = None, *, name: str = "model.gguf", arch: str = "llama") -> Path:
        path = tmp_path / name
        writer = gguf.GGUFWriter(path, arch)
        if fill is not None:
            fill(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return written


@pytest.fixture
def small(write: Write) -> Path:
    """A file with every type of value and three tensors."""

    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_uint8("a.u8", 8)
        writer.add_int8("a.i8", -8)
        writer.add_uint16("a.u16", 16)
        writer.add_int16("a.i16", -16)
        writer.add_uint32("a.u32", 32)
        writer.add_int32("a.i32", -32)
        writer.add_uint64("a.u64", 64)
        writer.add_int64("a.i64", -64)
        writer.add_float32("a.f32", 0.5)
        writer.add_float64("a.f64", 0.25)
        writer.add_bool("a.bool", True)
        writer.add_string("a.string", "zwölf")
        writer.add_array("a.ints", [1, -2, 3])
        writer.add_array("a.floats", [1.0, 2.5])
        writer.add_array("a.strings", ["", "β", "three"])
        writer.add_array("a.bools", [True, False])
        writer.add_tensor("f.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
        writer.add_tensor("h.weight", np.arange(4, dtype=np.float16))
        codes = np.zeros((2, 34), np.uint8)
        writer.add_tensor("q.weight", codes, raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    return write(fill)
