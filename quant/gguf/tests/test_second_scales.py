"""NVFP4's second level of scales, from tensors that the converter of llama.cpp writes beside."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, nbytes
from tramontane.quantizing.source import QuantizeSource
from tramontane_quant_gguf.container import open_gguf
from tramontane_quant_gguf.encode.encode import quantize
from tramontane_quant_gguf.encode.write import write as write_quantized
from tramontane_quant_gguf.writer import Written, write_gguf

NVFP4, F32, F16 = 40, 0, 1
ROWS, COLUMNS = 3, 256


def matrix(*shape: int) -> NDArray[np.uint8]:
    """Blocks of a matrix (..., rows, columns)."""
    raw = np.random.default_rng(1).integers(0, 256, (*shape[:-1], shape[-1] // 64, 36), np.uint8)
    raw[..., :4] = np.random.default_rng(2).integers(8, 60, raw[..., :4].shape)
    return raw.reshape(*shape[:-1], -1)


def written(
    path: Path, raw: NDArray[np.uint8], *, kind: int = NVFP4, name: str = "blk.0.attn_q",
    **others: NDArray[np.floating],
) -> Path:  # fmt: skip
    """A file with one matrix and its companions."""
    shape = (*raw.shape[:-1], raw.shape[-1] // 36 * 64)
    tensors = [Written(f"{name}.weight", kind, shape, raw.tobytes())]
    for end, numbers in others.items():
        number = F16 if numbers.dtype == np.float16 else F32
        tensors.append(Written(f"{name}.{end}", number, numbers.shape, numbers.tobytes()))
    return write_gguf(path, {"general.architecture": "llama"}, tensors)


def f32(*numbers: float) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


def decoded(raw: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(gguf.quants.dequantize(raw, gguf.GGMLQuantizationType.NVFP4))


def test_a_matrix_is_multiplied_by_its_number(tmp_path: Path) -> None:
    raw = matrix(ROWS, COLUMNS)
    path = written(tmp_path / "m.gguf", raw, scale=f32(0.25), input_scale=f32(3))
    checkpoint = open_gguf(path)
    assert list(checkpoint.header.tensors) == ["blk.0.attn_q.weight"]
    layout = checkpoint.read("blk.0.attn_q.weight")
    assert layout.kind == "codebook4/g16/2-level"
    assert torch.equal(layout.decode(), decoded(raw) * 0.25)
    table = 64
    assert checkpoint.header.tensors["blk.0.attn_q.weight"].in_memory == nbytes(layout) - table


def test_each_expert_has_its_own(tmp_path: Path) -> None:
    raw = matrix(4, ROWS, COLUMNS)
    each = f32(1, 0.5, 2, 4)
    path = written(tmp_path / "m.gguf", raw, name="blk.0.ffn_up_exps", scale=each)
    layout = open_gguf(path).read("blk.0.ffn_up_exps.weight")
    expected = decoded(raw) * torch.from_numpy(each)[:, None, None]
    assert torch.equal(layout.decode().view(4, ROWS, COLUMNS), expected)


def test_one_number_does_for_all_experts(tmp_path: Path) -> None:
    raw = matrix(4, ROWS, COLUMNS)
    path = written(tmp_path / "m.gguf", raw, scale=f32(0.5))
    layout = open_gguf(path).read("blk.0.attn_q.weight")
    assert torch.equal(layout.decode(), decoded(raw).view(-1, COLUMNS) * 0.5)


def test_without_it_there_is_one_level(tmp_path: Path) -> None:
    raw = matrix(ROWS, COLUMNS)
    checkpoint = open_gguf(written(tmp_path / "m.gguf", raw, input_scale=f32(3)))
    layout = checkpoint.read("blk.0.attn_q.weight")
    assert isinstance(layout, Codebook)
    assert layout.super_scale is None
    assert torch.equal(layout.decode(), decoded(raw))
    assert list(checkpoint.header.tensors) == ["blk.0.attn_q.weight"]


def test_those_of_other_types_are_not_passed_over(tmp_path: Path) -> None:
    raw = np.zeros((2, 36), np.uint8)
    path = written(tmp_path / "m.gguf", raw, kind=20, scale=f32(0.5))
    assert "blk.0.attn_q.scale" in open_gguf(path).header.tensors


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (f32(1, 2), "2 numbers of torch.float32 do not belong to"),
        (f32(np.nan), "1 of its 1 numbers are infinite or not numbers"),
        (f32(1).astype(np.float16), "1 numbers of torch.float16 do not belong to"),
    ],
)
def test_wrong_ones_are_named(scale: NDArray[np.floating], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "m.gguf", matrix(ROWS, COLUMNS), scale=scale)
    with pytest.raises(CheckpointError, match=rf"'blk.0.attn_q.scale', the scale of.*{message}"):
        open_gguf(path).read("blk.0.attn_q.weight")


def test_they_are_written_with_a_matrix_that_stays_as_it_is(tmp_path: Path) -> None:
    raw = matrix(ROWS, COLUMNS)
    names = ("blk.0.attn_q", "blk.0.ffn_gate_inp")
    tensors = [Written(f"{name}.weight", NVFP4, (ROWS, COLUMNS), raw.tobytes()) for name in names]
    tensors += [Written(f"{name}.scale", F32, (1,), f32(0.25).tobytes()) for name in names]
    given = open_gguf(write_gguf(tmp_path / "m.gguf", {"general.architecture": "llama"}, tensors))
    source = QuantizeSource(given, None, {})
    write_quantized(source, tmp_path / "new.gguf", "q8_0", lambda *_: None)
    names_now = {tensor.name for tensor in gguf.GGUFReader(tmp_path / "new.gguf").tensors}
    assert names_now == {"blk.0.attn_q.weight", f"{names[1]}.weight", f"{names[1]}.scale"}
    made, expected = open_gguf(tmp_path / "new.gguf"), decoded(raw) * 0.25
    assert torch.equal(made.read(f"{names[1]}.weight").decode(), expected)
    assert torch.equal(
        made.read(f"{names[0]}.weight").decode(), quantize(expected, "q8_0").decode()
    )
