"""Files before GGUF that are written here: quantized again, changed by an adapter, or as GGUF.

Those of real tools become GGUF with TRAMONTANE_FULL=1.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tramontane import LLM
from tramontane.cli.main import main
from tramontane.errors import AdapterError, UsageError
from tramontane.tokenizer.alphabet import byte_level
from tramontane_quant_ggml.adapter import read_adapter
from tramontane_quant_ggml.container import open_ggml
from tramontane_quant_ggml.header import read_old
from tramontane_quant_ggml.rewrite import rewrite
from tramontane_quant_ggml.sample import write

from .test_golden import GOLDEN, NEEDED

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
IDS = [1, 200, 250, 9, 140]
Tensors = dict[str, NDArray[np.float32]]


def write_old(path: Path, header: tuple[int | float, ...], tensors: Tensors) -> Path:
    """A GGML file of float32, its tokens bytes and one end."""
    data = bytearray(b"lmgg")
    for number in header:
        data += struct.pack("<f" if isinstance(number, float) else "<i", number)
    for token in [bytes([byte]) for byte in range(256)] + [b"<|endoftext|>"]:
        data += struct.pack("<i", len(token)) + token
    for name, numbers in tensors.items():
        extents = numbers.shape[::-1]
        data += struct.pack(f"<3i{len(extents)}i", len(extents), len(name), 0, *extents)
        data += name.encode() + numbers.astype("<f4").tobytes()
    path.write_bytes(data)
    return path


def falcon(path: Path) -> Path:
    """Two layers, 4 heads that share one of keys and values."""
    random, width, tensors = np.random.default_rng(1), 64, {}

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return random.normal(0, 0.3, (rows, columns)).astype(np.float32)

    for name in ("word_embeddings.weight", "ln_f.weight", "ln_f.bias"):
        rows = (257, width) if name[0] == "w" else (1, width)
        tensors[f"transformer.{name}"] = matrix(*rows) if name[0] == "w" else matrix(*rows)[0]
    tensors["lm_head.weight"] = matrix(257, width)
    for layer in range(2):
        stem = f"transformer.h.{layer}"
        tensors[f"{stem}.input_layernorm.weight"] = 1 + matrix(1, width)[0]
        tensors[f"{stem}.input_layernorm.bias"] = matrix(1, width)[0]
        tensors[f"{stem}.self_attention.query_key_value.weight"] = matrix(width + 32, width)
        tensors[f"{stem}.self_attention.dense.weight"] = matrix(width, width)
        tensors[f"{stem}.mlp.dense_h_to_4h.weight"] = matrix(4 * width, width)
        tensors[f"{stem}.mlp.dense_4h_to_h.weight"] = matrix(width, 4 * width)
    return write_old(path, (257, width, 4, 1, 2, 0), tensors)


def logits(path: Path, **more: object) -> torch.Tensor:
    with LLM(path, dtype="f32", activations="f32", threads=1, **more) as llm:  # type: ignore[arg-type]
        return torch.as_tensor(llm.logits(IDS)).clone()


def write_bytes_tokenizer(folder: Path) -> None:
    """Each byte a token, in the folder's tokenizer.json."""
    ids = {byte: index for index, byte in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    inner = Tokenizer(models.BPE(vocab=ids, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.save(str(folder / "tokenizer.json"))
    assert byte_level("a") == b"a"


def as_gguf(path: Path) -> gguf.GGUFReader:
    """The file as GGUF in float16, whose logits are the same."""
    out = path.with_suffix(".gguf")
    assert main(["quantize", str(path), str(out), "--to", "f16"]) == 0
    before, after = logits(path), logits(out)
    torch.testing.assert_close(after, before, rtol=2e-3, atol=2e-3)
    return gguf.GGUFReader(out)


def refuse_unknown_names(found: gguf.GGUFReader, arch: gguf.MODEL_ARCH) -> None:
    """All names are those that gguf-py has for the family."""
    layers = int(found.fields[f"{gguf.MODEL_ARCH_NAMES[arch]}.block_count"].parts[-1][0])
    known = {
        gguf.TENSOR_NAMES[kind].format(bid=layer)
        for kind in gguf.MODEL_TENSORS[arch]
        for layer in range(layers)
    }
    names = {each.name.rpartition(".")[0] for each in found.tensors}
    assert names - known == set()


def test_falcon_becomes_gguf(tmp_path: Path) -> None:
    found = as_gguf(falcon(tmp_path / "falcon.bin"))
    refuse_unknown_names(found, gguf.MODEL_ARCH.FALCON)
    assert found.fields["falcon.attention.head_count_kv"].parts[-1][0] == 1


@NEEDED
@pytest.mark.skipif(not FULL, reason="only with TRAMONTANE_FULL=1")
@pytest.mark.parametrize(("name", "arch"), [("mpt", "MPT"), ("gptneox", "GPTNEOX")])
def test_files_of_real_tools_become_gguf(name: str, arch: str, tmp_path: Path) -> None:
    path = tmp_path / "old.bin"
    path.write_bytes((GOLDEN / f"{name}-f16.bin").read_bytes())
    write_bytes_tokenizer(tmp_path)
    refuse_unknown_names(as_gguf(path), gguf.MODEL_ARCH[arch])


@NEEDED
def test_gptj_has_no_gguf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.bin"
    path.write_bytes((GOLDEN / "gptj-f16.bin").read_bytes())
    write_bytes_tokenizer(tmp_path)
    assert main(["quantize", str(path), str(tmp_path / "new.gguf"), "--to", "q8_0"]) == 2
    said = "no GGUF files are written of GPTJForCausalLM; write a folder instead (--to afq4)"
    assert said in capsys.readouterr().err


@NEEDED
@pytest.mark.parametrize(
    ("source", "made"),
    [
        *((f"llama-f16.bin:{kind}", f"llama-{kind}-ggjt.bin")
          for kind in ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")),
        ("gpt2-f16.bin:q4_0", "gpt2-q4_0-ggjt.bin"), ("gpt2-f16.bin:q4_0", "gpt2-q4_0.bin"),
        ("gptj-f16.bin:q4_0", "gptj-q4_0.bin"), ("bloom-f16.bin:q4_0", "bloom-q4_0.bin"),
        ("gptneox-f16.bin:q8_0", "gptneox-q8_0-ggjt.bin"),
    ],
)  # fmt: skip
def test_quantized_files_are_those_of_llm_rs(source: str, made: str, tmp_path: Path) -> None:
    """But for a code here and there that lies between two: the order of its arithmetic differs."""
    name, _, kind = source.partition(":")
    theirs, from_file = open_ggml(GOLDEN / made), open_ggml(GOLDEN / name)
    rewrite(from_file, out := tmp_path / "o", kind, scored=theirs.file.container == "ggjt")
    ours = open_ggml(out)
    assert ours.file.fields == theirs.file.fields
    assert ours.file.vocabulary == theirs.file.vocabulary
    assert ours.file.tensors.keys() == theirs.file.tensors.keys()
    for each, stretch in ours.file.tensors.items():
        there = theirs.file.tensors[each]
        assert (stretch.type, stretch.shape) == (there.type, there.shape)
        here, bytes_ = out.read_bytes(), (GOLDEN / made).read_bytes()
        first = np.frombuffer(here, np.uint8, stretch.nbytes, stretch.start)
        second = np.frombuffer(bytes_, np.uint8, there.nbytes, there.start)
        assert int((first != second).sum()) <= 1, each


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    source = open_ggml(write(tmp_path / "source.bin", "ggjt", packed=False))
    before, after = rewrite(source, tmp_path / "out.bin", "q8_0", scored=True)
    assert before > 3 * after
    found = read_old(memoryview((tmp_path / "out.bin").read_bytes()), tmp_path)
    assert found.fields["ftype"] == 2007
    with pytest.raises(UsageError, match="has scores of tokens, which GGML has not"):
        rewrite(source, tmp_path / "other.bin", "q8_0", scored=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.bin", "source.bin"]


RANK, ALPHA = 2, 3


def ggla(path: Path, tensors: Tensors) -> Path:
    data = bytearray(b"algg" + struct.pack("<3i", 1, RANK, ALPHA))
    for name, numbers in tensors.items():
        data += struct.pack("<5i", 2, len(name), 0, *numbers.shape[::-1]) + name.encode()
        data += bytes(-len(data) % 32) + numbers.astype("<f4").tobytes()
    path.write_bytes(data)
    return path


def test_an_adapter_adds_its_product(tmp_path: Path) -> None:
    """Compared with a file whose matrix has it: loraA lies as (columns, rank)."""
    random = np.random.default_rng(2)
    first, second = (random.normal(0, 0.5, (64, RANK)).astype(np.float32) for _ in "ab")
    name = "layers.1.attention.wq.weight"
    adapter = ggla(tmp_path / "a.ggla", {f"{name}.loraA": first, f"{name}.loraB": second})
    model = write(tmp_path / "model.bin", "ggjt", packed=False)
    data = bytearray(model.read_bytes())
    place = read_old(memoryview(data), model).tensors[name]
    weight = np.frombuffer(data, "<f4", 64 * 64, place.start).reshape(64, 64)
    changed = (weight + ALPHA / RANK * second @ first.T).astype("<f4").tobytes()
    data[place.start : place.start + place.nbytes] = changed
    (tmp_path / "changed.bin").write_bytes(data)
    expected = logits(tmp_path / "changed.bin")
    assert not torch.allclose(logits(model), expected, rtol=1e-2, atol=1e-2)
    merged = logits(model, adapters={"a": adapter}, merge_adapters=True)
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
    drawn = []
    for path, more in ((tmp_path / "changed.bin", {}), (model, {"adapters": {"a": adapter}})):
        with LLM(path, dtype="f32", threads=1, **more) as llm:
            name = "a" if more else None
            drawn.append(llm.generate(IDS, max_tokens=8, temperature=0, adapter=name).token_ids)
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"lmgg" + data[4:], "is no GGLA file"),
        (lambda data: data[:4] + struct.pack("<i", 2) + data[8:], "GGLA version 2; 1 is known"),
        (lambda data: data[:8] + struct.pack("<i", 0) + data[12:], "rank 0 and alpha 3 cannot be"),
        (lambda data: data[:8] + struct.pack("<i", 5) + data[12:], r"is \(64, 2\), of the rank 5"),
        (lambda data: data[:16], "has no tensors of an adapter"),
        (lambda data: data[:-9], "truncated: tensor"),
        (lambda data: data.replace(b"loraB", b"loraX"), "has no place in an adapter"),
        (lambda data: data[:-4] + struct.pack("<f", np.nan), "numbers that are not finite"),
    ],
)
def test_damaged_adapters_are_refused(change: object, said: str, tmp_path: Path) -> None:
    name, ones = "layers.1.attention.wq.weight", np.ones((64, RANK), np.float32)
    path = ggla(tmp_path / "a.ggla", {f"{name}.loraA": ones, f"{name}.loraB": ones})
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(AdapterError, match=said):
        read_adapter(path)
