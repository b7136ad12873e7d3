"""Files with the highest byte first say and hold what their little-endian twins do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from ctypes import BigEndianStructure, LittleEndianStructure, c_byte, c_float, c_uint16, c_uint32
from pathlib import Path
from struct import pack
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf.scripts.gguf_convert_endian import byteswap_tensors, convert_byteorder
from numpy.typing import NDArray
from tramontane.errors import CheckpointError
from tramontane.quantizing.source import QuantizeSource
from tramontane_quant_gguf.big_endian import WIDE, Swapped
from tramontane_quant_gguf.container import GgufCheckpoint, open_gguf
from tramontane_quant_gguf.encode.write import write as write_quantized
from tramontane_quant_gguf.formats.table import FORMATS
from tramontane_quant_gguf.imatrix import read as read_importance
from tramontane_quant_gguf.sample import write_sample
from tramontane_quant_gguf.types import STORED

Half, Byte, Word = c_uint16, c_byte, c_uint32
BLOCKS: dict[str, list[Any]] = {
    "Q4_0": [Half, Byte * 16], "Q4_1": [Half, Half, Byte * 16],
    "Q5_0": [Half, Word, Byte * 16], "Q5_1": [Half, Half, Word, Byte * 16],
    "Q8_0": [Half, Byte * 32], "Q8_1": [Half, Half, Byte * 32],
    "Q8_K": [c_float, Byte * 256, c_uint16 * 16],
    "Q2_K": [Byte * 16, Byte * 64, Half, Half], "Q3_K": [Byte * 32, Byte * 64, Byte * 12, Half],
    "Q4_K": [Half, Half, Byte * 12, Byte * 128],
    "Q5_K": [Half, Half, Byte * 12, Byte * 32, Byte * 128],
    "Q6_K": [Byte * 128, Byte * 64, Byte * 16, Half],
    "IQ1_S": [Half, Byte * 32, c_uint16 * 8], "IQ1_M": [Byte * 32, Byte * 16, c_uint16 * 4],
    "IQ2_XS": [Half, c_uint16 * 32, Byte * 8], "IQ2_S": [Half, Byte * 64, Byte * 8, Byte * 8],
    "IQ3_XXS": [Half, Byte * 64, Word * 8], "IQ3_S": [Half, Byte * 64, Byte * 8, Byte * 36],
    "IQ4_NL": [Half, Byte * 16], "IQ4_XS": [Half, c_uint16, Byte * 4, Byte * 128],
    "TQ1_0": [Byte * 48, Byte * 4, Half], "TQ2_0": [Byte * 64, Half],
    "MXFP4": [Byte, Byte * 16], "NVFP4": [Byte * 4, Byte * 32],
    "Q1_0": [Half, Byte * 16], "Q2_0": [Half, Byte * 16],
}  # fmt: skip
"""ggml's blocks, field by field; words that it copies out of bytes are words here."""


def swap(blocks: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """Blocks (n, bytes) written field by field with the highest byte first."""
    fields = [(f"field{index}", each) for index, each in enumerate(BLOCKS[kind])]
    little: Any = type("Little", (LittleEndianStructure,), {"_pack_": 1, "_fields_": fields})
    big: Any = type("Big", (BigEndianStructure,), {"_pack_": 1, "_fields_": fields})
    out = np.empty_like(blocks)
    for row, block in zip(out, blocks, strict=True):
        read, written = little.from_buffer_copy(block.tobytes()), big()
        for name, each in fields:
            value = getattr(read, name)
            if hasattr(each, "_length_"):
                getattr(written, name)[:] = value[:]
            else:
                setattr(written, name, value)
        row[:] = np.frombuffer(bytes(written), np.uint8)
    return out


def finite(name: str, count: int) -> NDArray[np.uint8]:
    """Random blocks in which any two or four bytes are a finite number: none is 0x7C or above."""
    size = next(nbytes for each, _, nbytes, _ in FORMATS.values() if each == name)
    return np.random.default_rng(3).integers(0, 0x7C, (count, size), dtype=np.uint8)


@pytest.mark.parametrize("name", list(BLOCKS))
def test_blocks_are_read_as_their_twins(name: str, tmp_path: Path) -> None:
    kind, block = next((k, row[1]) for k, row in FORMATS.items() if row[0] == name)
    blocks = finite(name, 12)
    shape = (4, 3 * block)
    read = []
    for raw, order in ((blocks, "<"), (swap(blocks, name), ">")):
        path = tmp_path / f"{len(read)}.gguf"
        header = b"GGUF" + pack(f"{order}IQQ", 3, 1, 1)
        header += pack(f"{order}Q", 20) + b"general.architecture"
        header += pack(f"{order}IQ", 8, 5) + b"llama"
        header += pack(f"{order}Q", 1) + b"t" + pack(f"{order}IQQIQ", 2, *shape[::-1], kind, 0)
        path.write_bytes(header + bytes(-len(header) % 32) + raw.tobytes())
        checkpoint = open_gguf(path)
        assert checkpoint.header.tensors["t"].shape == shape
        assert checkpoint.raw("t") == blocks.tobytes()
        read.append(checkpoint.read("t").decode())
    assert torch.equal(*read)
    assert not torch.equal(read[0], torch.zeros(shape))


def test_every_type_but_one_is_known() -> None:
    assert set(BLOCKS) == {row[0] for row in FORMATS.values()} - {"IQ2_XXS"}
    assert set(WIDE) == {stored.name for stored in STORED.values()} - {"IQ2_XXS"}


@pytest.mark.parametrize("kind", byteswap_tensors, ids=lambda kind: kind.name)
def test_fields_are_those_of_the_package(kind: gguf.GGMLQuantizationType) -> None:
    blocks = finite(kind.name, 5)
    flat = blocks.reshape(-1).copy()
    for block in range(5):
        byteswap_tensors[kind](Namespace(data=flat), block * blocks.shape[1])
    assert np.array_equal(Swapped(flat, kind.name)[0 : len(flat)], blocks.reshape(-1))


Fill = Callable[[gguf.GGUFWriter], None]


def written(path: Path, order: gguf.GGUFEndian, fill: Fill) -> GgufCheckpoint:
    writer = gguf.GGUFWriter(path, "llama", endianess=order)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return open_gguf(path)


def test_values_and_plain_tensors_are_read_as_their_twins(tmp_path: Path) -> None:
    floats = np.random.default_rng(0).normal(0, 1, (3, 5))
    plain = [each(floats) for each in (np.float16, np.float32, np.float64)]

    def fill(writer: gguf.GGUFWriter) -> None:
        for bits in (8, 16, 32, 64):
            getattr(writer, f"add_uint{bits}")(f"a.u{bits}", 3 << bits - 8)
            getattr(writer, f"add_int{bits}")(f"a.i{bits}", -5 << bits - 8)
        writer.add_float32("a.f32", 0.1)
        writer.add_float64("a.f64", 0.1)
        writer.add_bool("a.bool", True)
        writer.add_string("a.string", "zwölf")
        writer.add_array("a.ints", [1, -2, 3])
        writer.add_array("a.strings", ["", "β", "three"])
        writer.add_array("a.bools", [True, False])
        for data in plain:
            writer.add_tensor(f"t.{data.dtype}", data.copy())

    little = written(tmp_path / "little.gguf", gguf.GGUFEndian.LITTLE, fill)
    big = written(tmp_path / "big.gguf", gguf.GGUFEndian.BIG, fill)
    assert big.header.metadata == little.header.metadata
    assert big.header.metadata["a.strings"][2] == "three"
    assert list(big.pairs()) == list(little.pairs())
    assert big.header.tensors == little.header.tensors
    for name in little.header.tensors:
        assert torch.equal(big.read(name).decode(), little.read(name).decode())
        assert big.raw(name) == little.raw(name)
        assert big.stored(name) is None


def test_a_model_that_the_package_has_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "YES")
    little, big = write_sample(tmp_path / "little.gguf"), write_sample(tmp_path / "big.gguf")
    convert_byteorder(gguf.GGUFReader(big, "r+"), Namespace(order="big", dry_run=False))
    assert big.read_bytes()[4:8] == bytes([0, 0, 0, 3])
    ours, twin = open_gguf(big), open_gguf(little)
    assert ours.header.config == twin.header.config
    assert ours.chat_template() == twin.chat_template()
    text = "the hand é"
    assert ours.tokenizer().encode(text) == twin.tokenizer().encode(text)
    for name in twin.header.tensors:
        assert torch.equal(ours.read(name).decode(), twin.read(name).decode()), name


def test_what_is_written_from_one_is_little_endian(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "YES")
    little, big = write_sample(tmp_path / "little.gguf"), write_sample(tmp_path / "big.gguf")
    convert_byteorder(gguf.GGUFReader(big, "r+"), Namespace(order="big", dry_run=False))
    for path in (little, big):
        source = QuantizeSource(open_gguf(path), None, {})
        write_quantized(source, path.with_suffix(".new"), "q8_0", lambda *_: None)
    assert big.with_suffix(".new").read_bytes() == little.with_suffix(".new").read_bytes()


def test_importances_are_read_as_their_twins(tmp_path: Path) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_type("imatrix")
        writer.add_tensor("output.weight.in_sum2", np.arange(8, dtype=np.float32)[None])
        writer.add_tensor("output.weight.counts", np.full((1, 1), 4, np.float32))

    written(tmp_path / "i.gguf", gguf.GGUFEndian.BIG, fill)
    assert read_importance(tmp_path / "i.gguf")["lm_head"].tolist() == [i / 4 for i in range(8)]


def test_indices_without_an_order_are_refused(tmp_path: Path) -> None:
    raw = b"GGUF" + pack(">IQQ", 3, 1, 0)
    raw += pack(">Q", 1) + b"t" + pack(">IQIQ", 1, 256, 16, 0) + bytes(128)
    path = tmp_path / "model.gguf"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="'t' has type IQ2_XXS in a big-endian file"):
        open_gguf(path)
