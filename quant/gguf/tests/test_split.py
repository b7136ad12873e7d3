"""Models in several files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from tramontane.errors import CheckpointError
from tramontane_quant_gguf.container import open_gguf


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """A model of six tensors that the gguf package has split after every second."""
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=2)
    writer.add_block_count(3)
    for index in range(6):
        writer.add_tensor(f"t{index}.weight", np.full((2, 2), index, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(tmp_path.glob("*.gguf"))


@pytest.mark.parametrize("opened", range(3))
def test_any_part_opens_all(parts: list[Path], opened: int) -> None:
    checkpoint = open_gguf(parts[opened])
    assert checkpoint.header.path == parts[0]
    assert checkpoint.header.config["num_hidden_layers"] == 3
    assert sorted(checkpoint.header.tensors) == [f"t{index}.weight" for index in range(6)]
    for index in range(6):
        assert checkpoint.read(f"t{index}.weight").decode().unique().tolist() == [index]


def rewrite(path: Path, before: bytes, after: bytes) -> None:
    raw = path.read_bytes()
    assert raw.count(before) == 1
    path.write_bytes(raw.replace(before, after))


def number_of(value: int) -> bytes:
    return b"split.no" + (2).to_bytes(4, "little") + value.to_bytes(2, "little")


def count_of(value: int) -> bytes:
    return b"split.count" + (2).to_bytes(4, "little") + value.to_bytes(2, "little")


def total_of(value: int) -> bytes:
    return b"split.tensors.count" + (5).to_bytes(4, "little") + value.to_bytes(4, "little")


DAMAGE: dict[str, tuple[Callable[[list[Path]], object], str]] = {
    "missing": (lambda p: p[1].unlink(), "part 2 of 3 is missing: m-00002-of-00003.gguf"),
    "renamed": (
        lambda p: p[0].rename(p[0].with_name("renamed.gguf")),
        "one of 3 parts, but not named NAME-00001-of-00003.gguf",
    ),
    "swapped": (lambda p: p[1].write_bytes(p[2].read_bytes()), "split.no=2, its name says 1"),
    "of another split": (
        lambda p: rewrite(p[2], count_of(3), count_of(4)), "split.count=4, another part says 3",
    ),
    "duplicate tensor": (
        lambda p: rewrite(p[1], b"t2.weight", b"t1.weight"),
        "tensor 't1.weight' is also in m-00001-of-00003.gguf",
    ),
    "too few tensors": (
        lambda p: rewrite(p[0], total_of(6), total_of(7)),
        "split.tensors.count=7, the parts hold 6",
    ),
    "absurdly many": (
        lambda p: rewrite(p[0], count_of(3), count_of(65535)), "split.count=65535 is more than",
    ),
    "truncated part": (
        lambda p: p[2].write_bytes(p[2].read_bytes()[:100]), "m-00003-of-00003.gguf: truncated",
    ),
    "number missing": (
        lambda p: rewrite(p[1], b"split.no", b"split.xx"), "split.no=0, its name says 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_wrong_parts_are_named(
    parts: list[Path], damage: Callable[[list[Path]], object], message: str
) -> None:
    damage(parts)
    first = min(parts[0].parent.glob("*.gguf"), key=lambda path: path.name != "renamed.gguf")
    with pytest.raises(CheckpointError, match=message):
        open_gguf(first)
