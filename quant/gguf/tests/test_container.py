"""What a checkpoint says of itself, and what reading it gives."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Dense
from tramontane.plugin import load
from tramontane_quant_gguf.container import GgufCheckpoint, open_gguf
from tramontane_quant_gguf.names import DECODER
from tramontane_quant_gguf.plugin import quantizers
from tramontane_quant_gguf.sample import write_sample

Q8_0 = gguf.GGMLQuantizationType.Q8_0
Write = Callable[..., Path]


def test_offer_names_targets_and_imports_nothing_heavy(tmp_path: Path) -> None:
    (offer,) = quantizers()
    assert (offer.name, offer.magic) == ("gguf", b"GGUF")
    assert offer.open is not None
    assert offer.sample is not None
    path = load(offer.sample)(tmp_path)
    assert isinstance(load(offer.open)(path), GgufCheckpoint)
    code = (
        "import sys, tramontane_quant_gguf.plugin; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'tokenizers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sample_is_what_the_gguf_package_reads(tmp_path: Path) -> None:
    path = write_sample(tmp_path)
    again = write_sample(tmp_path / "again.gguf")
    assert path.read_bytes() == again.read_bytes()
    checkpoint = open_gguf(path)
    reference = gguf.GGUFReader(path)
    assert {t.name for t in reference.tensors} == set(checkpoint.header.tensors)
    for tensor in reference.tensors:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(checkpoint.read(tensor.name).decode().numpy(), expected)
        info = checkpoint.header.tensors[tensor.name]
        assert (info.shape, info.stored) == (expected.shape, tensor.tensor_type.name)
        assert info.nbytes == tensor.n_bytes
    tokenizer = checkpoint.tokenizer()
    ids = tokenizer.inner.encode("the hand é").ids
    assert tokenizer.inner.decode(ids) == "the hand é"
    assert (tokenizer.bos_id, tokenizer.eos_ids, tokenizer.add_bos) == (1, {2}, True)
    assert "messages" in (checkpoint.chat_template() or "")


def test_dense_tensors_are_views_of_the_file(small: Path) -> None:
    checkpoint = open_gguf(small)
    f32, f16 = checkpoint.read("f.weight"), checkpoint.read("h.weight")
    assert isinstance(f32, Dense)
    assert f32.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert f16.kind == "float16"
    again = checkpoint.read("f.weight")
    assert isinstance(again, Dense)
    assert again.data.data_ptr() == f32.data.data_ptr()
    checkpoint.close()
    assert f32.data.sum() == 15
    with pytest.raises(CheckpointError, match=r"no tensor .f\.weight. any more, it is closed"):
        checkpoint.read("f.weight")


def test_writing_to_a_view_leaves_the_file_alone(small: Path) -> None:
    before = small.read_bytes()
    layout = open_gguf(small).read("f.weight")
    assert isinstance(layout, Dense)
    layout.data.fill_(7)
    assert small.read_bytes() == before


@pytest.mark.parametrize("kind", ["F64", "BF16"])
def test_other_floats_are_dense(write: Write, kind: str) -> None:
    values = np.array([1.0, -2.5, 0.0], np.float64)
    raw = values if kind == "F64" else gguf.quants.quantize(
        values.astype(np.float32), gguf.GGMLQuantizationType.BF16
    )  # fmt: skip
    dtype = gguf.GGMLQuantizationType[kind]
    path = write(lambda w: w.add_tensor("t", raw, raw_dtype=dtype))
    assert open_gguf(path).read("t").decode().tolist() == values.tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_integers_are_listed_and_not_read(write: Write, dtype: type) -> None:
    checkpoint = open_gguf(write(lambda w: w.add_tensor("t", np.zeros(4, dtype))))
    stored = checkpoint.header.tensors["t"].stored
    with pytest.raises(CheckpointError, match=f"tensor 't' holds {stored}, not weights"):
        checkpoint.read("t")


def test_experts_come_stacked(write: Write) -> None:
    raw = np.random.default_rng(0).integers(0, 64, (3, 2, 34), dtype=np.uint8)
    raw[..., :2] = (0, 0x3C)
    checkpoint = open_gguf(write(lambda w: w.add_tensor("e", raw, raw_dtype=Q8_0)))
    assert checkpoint.header.tensors["e"].shape == (3, 2, 32)
    layout = checkpoint.read("e")
    assert isinstance(layout, Affine)
    assert layout.shape == (6, 32)
    assert layout.decode().tolist() == raw[..., 2:].reshape(6, 32).astype(float).tolist()


@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7E01])
def test_scales_that_are_not_finite_are_refused(write: Write, bits: int) -> None:
    raw = np.zeros((2, 68), np.uint8)
    raw[1, 34:36] = np.frombuffer(np.uint16(bits).tobytes(), np.uint8)
    path = write(lambda w: w.add_tensor("t.weight", raw, raw_dtype=Q8_0))
    with pytest.raises(CheckpointError, match=r"'t.weight': 1 of its 4 scales are infinite or not"):
        open_gguf(path).read("t.weight")


def test_unknown_tensors_are_named(small: Path) -> None:
    with pytest.raises(CheckpointError, match=re.escape(f"{small}: there is no tensor 'x'")):
        open_gguf(small).read("x")


def test_files_that_shrink_while_open_are_noticed(write: Write) -> None:
    raw = np.zeros((64, 3400), np.uint8)
    path = write(lambda w: w.add_tensor("t", raw, raw_dtype=Q8_0))
    checkpoint = open_gguf(path)
    with path.open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(CheckpointError, match="the file has become shorter"):
        checkpoint.read("t")


def test_generation_defaults_are_in_config_words(write: Write) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_float32("general.sampling.temp", 0.5)
        writer.add_int32("general.sampling.top_k", 20)
        writer.add_float32("general.sampling.penalty_repeat", 1.5)
        writer.add_string("general.sampling.sequence", "k;p")

    assert open_gguf(write(fill)).generation_defaults() == {
        "temperature": 0.5, "top_k": 20, "repetition_penalty": 1.5,
    }  # fmt: skip
    assert open_gguf(write()).generation_defaults() == {}


def test_missing_parts_of_the_metadata_are_named(write: Write) -> None:
    checkpoint = open_gguf(write())
    assert checkpoint.chat_template() is None
    with pytest.raises(CheckpointError, match=r"no tokenizer: tokenizer.ggml.model is missing"):
        checkpoint.tokenizer()
    path = write()
    path.write_bytes(path.read_bytes().replace(b"general.architecture", b"general.architectxxx"))
    with pytest.raises(CheckpointError, match=r"general.architecture=None names no architecture"):
        open_gguf(path)


def test_names_are_those_of_the_specification() -> None:
    known = {
        name.replace("{bid}", "{}")
        for names in gguf.constants.TENSOR_NAMES.items()
        for name in names[1:]
    }
    assert set(DECODER) <= known
    assert len(set(DECODER.values())) == len(DECODER)
    assert DECODER["blk.{}.attn_q"].format(3) == "model.layers.3.self_attn.q_proj"


def read_all(path: Path) -> dict[str, Any]:
    checkpoint = open_gguf(path)
    return {name: checkpoint.read(name).decode() for name in checkpoint.header.tensors}


def test_real_files_hold_the_same_weights(data: Path) -> None:
    folder = data / "weights" / "TinyStories-656K" / "gguf"
    exact = read_all(folder / "TinyStories-656K.f16.gguf")
    for name in ("TinyStories-656K-Q8_0_b.gguf", "tinystories-656k-q8_0.gguf"):
        rounded = read_all(folder / name)
        assert rounded.keys() == exact.keys()
        for tensor, expected in exact.items():
            torch.testing.assert_close(rounded[tensor], expected, rtol=0.02, atol=0.02)


def test_real_files_decode_as_the_reference_has_them(data: Path) -> None:
    files = sorted((data / "weights").glob("*/**/*.gguf"))
    assert len(files) == 4
    for path in files:
        checkpoint = open_gguf(path)
        for tensor in gguf.GGUFReader(path).tensors:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            got = checkpoint.read(tensor.name).decode().numpy()
            assert np.array_equal(got.view(np.uint32), expected.view(np.uint32)), tensor.name
