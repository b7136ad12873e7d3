"""Files that are written quantized, and files of importances."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tramontane.errors import CheckpointError, UsageError
from tramontane.quantizing.source import QuantizeSource
from tramontane_quant_gguf.container import open_gguf
from tramontane_quant_gguf.encode.encode import quantize
from tramontane_quant_gguf.encode.mixtures import FILE_TYPES, MIXTURES, Model, types_of
from tramontane_quant_gguf.encode.write import write
from tramontane_quant_gguf.imatrix import read as read_importance
from tramontane_quant_gguf.imatrix import save as save_importance
from tramontane_quant_gguf.imatrix import write as write_importance
from tramontane_quant_gguf.sample import write_sample

HIDDEN, INNER = 4096, 11008


def shapes(layers: int, *, hidden: int = HIDDEN, experts: int = 0, head: bool = True) -> Model:
    """A Llama's matrices, with 8 query heads for each head of keys and values."""
    stack = (experts,) if experts else ()
    names = "_exps" if experts else ""
    tensors: dict[str, tuple[int, ...]] = {"token_embd.weight": (32000, hidden)}
    for layer in range(layers):
        block = f"blk.{layer}"
        tensors |= {
            f"{block}.attn_norm.weight": (hidden,),
            f"{block}.attn_q.weight": (hidden, hidden),
            f"{block}.attn_k.weight": (hidden // 8, hidden),
            f"{block}.attn_v.weight": (hidden // 8, hidden),
            f"{block}.attn_output.weight": (hidden, hidden),
            f"{block}.ffn_gate{names}.weight": (*stack, INNER, hidden),
            f"{block}.ffn_up{names}.weight": (*stack, INNER, hidden),
            f"{block}.ffn_down{names}.weight": (*stack, hidden, INNER),
        }
        if experts:
            tensors[f"{block}.ffn_gate_inp.weight"] = (experts, hidden)
    if head:
        tensors["output.weight"] = (32000, hidden)
    return Model(tensors, 8, experts)


def test_q4_k_m_gives_more_bits_where_it_matters() -> None:
    chosen = types_of("q4_k_m", shapes(32))
    more = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
    for kind in ("attn_v", "ffn_down"):
        found = [i for i in range(32) if chosen[f"blk.{i}.{kind}.weight"] == "q6_k"]
        assert found == more
    assert chosen["output.weight"] == "q6_k"
    assert {chosen[f"blk.5.{k}.weight"] for k in ("attn_q", "attn_k", "ffn_up")} == {"q4_k"}
    assert chosen["token_embd.weight"] == "q4_k"
    assert "blk.0.attn_norm.weight" not in chosen


def test_a_tied_embedding_is_the_output() -> None:
    assert types_of("q4_k_m", shapes(2, head=False))["token_embd.weight"] == "q6_k"


def test_eight_experts_keep_their_attention_precise() -> None:
    chosen = types_of("q4_k_m", shapes(8, experts=8))
    assert chosen["blk.3.attn_v.weight"] == chosen["blk.3.attn_k.weight"] == "q8_0"
    assert chosen["blk.3.attn_output.weight"] == "q5_k"
    assert "blk.3.ffn_gate_inp.weight" not in chosen


def test_rows_that_are_no_multiple_of_256_get_blocks_of_32() -> None:
    chosen = types_of("q4_k_m", shapes(1, hidden=4128))
    assert chosen["blk.0.attn_q.weight"] == "q5_0"
    assert chosen["output.weight"] == "q8_0"
    assert types_of("q8_0", shapes(1, hidden=4100))["blk.0.attn_q.weight"] == "f16"


def test_every_mixture_has_a_file_type() -> None:
    assert set(FILE_TYPES) >= set(MIXTURES)
    for mixture, number in FILE_TYPES.items():
        named = gguf.LlamaFileType(number).name.partition("_")[2]
        assert named == mixture.upper() or named.rsplit("_", 1)[0] == mixture.upper(), mixture
    with pytest.raises(ValueError, match="'q4_k_xl' is none of q2_k, q3_k_s"):
        types_of("q4_k_xl", shapes(1))


def source(folder: Path) -> QuantizeSource:
    return QuantizeSource(open_gguf(write_sample(folder)), None, {})


@pytest.mark.parametrize("kind", ["q8_0", "q5_1", "iq4_nl", "q4_0"])
def test_a_file_is_written(kind: str, tmp_path: Path) -> None:
    given, told = source(tmp_path), []
    write(given, tmp_path / "new.gguf", kind, lambda done, total: told.append((done, total)))
    made = open_gguf(tmp_path / "new.gguf")
    assert made.header.config == given.header.config
    assert told[-1][0] == told[-1][1] > 0
    reader = gguf.GGUFReader(tmp_path / "new.gguf")
    assert reader.fields["general.file_type"].contents() == FILE_TYPES[kind]
    for name in given.header.tensors:
        weight = given.read(name)
        if weight.ndim == 1:
            assert torch.equal(made.read(name).decode(), weight)
            continue
        stored = made.header.tensors[name].stored.lower()
        assert stored == (kind if name != "output.weight" or kind == "q8_0" else "q8_0")
        expected = weight if stored == given.header.tensors[name].stored.lower() else None
        if expected is None:
            expected = quantize(weight, stored).decode()
        assert torch.equal(made.read(name).decode(), expected), name
    text = "hello there"
    assert made.tokenizer().encode(text) == given.checkpoint.tokenizer().encode(text)


@dataclass
class Left:
    """What an interrupted run has left, without files of its own."""

    state: dict[str, Any]
    path: Path
    why: str = ""

    def anew(self, why: str) -> None:
        self.state, self.why = {}, why
        self.path.unlink()

    def due(self, nbytes: int) -> bool:
        return nbytes > 0

    def record(self, done: int) -> None:
        self.state = {"done": done}


@pytest.mark.parametrize("keep", [1.0, 0.6, 0.01])
def test_a_file_goes_on_where_it_was_interrupted(keep: float, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.gguf", tmp_path / "part.gguf"
    write(source(tmp_path), whole, "q8_0", lambda *_: None)
    left = Left({}, part)

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(replace(source(tmp_path), partial=left), part, "q8_0", stop)  # type: ignore[arg-type]
    assert 0 < left.state["done"] < len(open_gguf(whole).header.tensors)
    size = part.stat().st_size
    with part.open("r+b") as file:
        file.truncate(int(size * keep))
    told: list[int] = []
    given = replace(source(tmp_path), partial=left)  # type: ignore[arg-type]
    write(given, part, "q8_0", lambda done, _: told.append(done))
    assert part.read_bytes() == whole.read_bytes()
    assert left.why == ("" if keep == 1 else "what had been written is damaged")
    assert (len(told) < len(given.header.tensors)) == (keep == 1)


def test_what_is_neither_a_file_nor_a_folder_is_refused(tmp_path: Path) -> None:
    class Other:
        checkpoint = None
        header = source(tmp_path).header

    with pytest.raises(UsageError, match="neither a GGUF file nor a folder of safetensors"):
        write(Other(), tmp_path / "new.gguf", "q8_0", lambda *_: None)
    with pytest.raises(UsageError, match="'q9' is none of"):
        write(source(tmp_path), tmp_path / "new.gguf", "q9", lambda *_: None)


def test_importances_are_read_as_they_were_written(tmp_path: Path) -> None:
    given = {
        "blk.1.attn_q.weight": torch.rand(64),
        "blk.0.ffn_down_exps.weight": torch.rand(4, 32),
        "output.weight": torch.rand(64),
    }
    write_importance(given, tmp_path / "i.gguf")
    found = read_importance(tmp_path / "i.gguf")
    assert list(found) == [
        "model.layers.1.self_attn.q_proj", "model.layers.0.mlp.experts.down_proj", "lm_head",
    ]  # fmt: skip
    for mine, theirs in zip(found.values(), given.values(), strict=True):
        assert torch.equal(mine, theirs)


def test_importances_by_paths_are_written_by_llama_cpps_names(tmp_path: Path) -> None:
    given = {
        "model.layers.0.self_attn.q_proj": torch.rand(64),
        "model.layers.0.mlp.shared_experts.up_proj": torch.rand(64),
        "model.layers.1.mlp.experts.down_proj": torch.rand(4, 32),
        "lm_head": torch.rand(64),
        "vision.patches": torch.rand(3),
    }
    save_importance(given, tmp_path / "i.gguf", "text.txt")
    reader = gguf.GGUFReader(tmp_path / "i.gguf")
    assert reader.fields["general.type"].contents() == "imatrix"
    assert reader.fields["imatrix.datasets"].contents() == ["text.txt"]
    stored = {tensor.name: tensor.data for tensor in reader.tensors}
    names = [name for name in stored if name.endswith(".in_sum2")]
    assert names == [
        f"{name}.weight.in_sum2" for name in (
            "blk.0.attn_q", "blk.0.attn_qkv", "blk.0.ffn_up_shexp", "blk.1.ffn_down_exps", "output"
        )
    ]  # fmt: skip
    for name in names:
        counts = stored[name.replace("in_sum2", "counts")]
        assert counts.shape == (len(stored[name]), 1)
        assert (counts == 1).all()
    found = read_importance(tmp_path / "i.gguf")
    for path, means in list(given.items())[:-1]:
        assert torch.equal(found[path], means), path
    assert torch.equal(
        found["model.layers.0.self_attn.v_proj"], found["model.layers.0.self_attn.q_proj"]
    )
    with pytest.raises(CheckpointError, match="no matrix of this model has a name"):
        save_importance({"vision.patches": torch.rand(3)}, tmp_path / "j.gguf", "text.txt")


def dat(calls: int = 3) -> bytes:
    name, values = b"blk.0.attn_v.weight", np.arange(1, 9, dtype="<f4")
    entry = struct.pack("<i", len(name)) + name + struct.pack("<ii", calls, 8) + values.tobytes()
    return struct.pack("<i", 1) + entry + struct.pack("<ii", 10, 4) + b"text"


def test_older_files_of_importances(tmp_path: Path) -> None:
    (tmp_path / "i.dat").write_bytes(dat())
    (found,) = read_importance(tmp_path / "i.dat").values()
    assert torch.allclose(found, torch.arange(1, 9) / 3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated: the number of entries"),
        (b"\x00" * 64, "no file of importances"),
        (b"hello, this is text", "no file of importances"),
        (dat()[:40], "truncated: 'blk.0.attn_v.weight' has 8 values"),
        (dat(-1), "the calls"),
    ],
)
def test_damaged_files_of_importances(data: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "i.dat").write_bytes(data)
    with pytest.raises(CheckpointError, match=why):
        read_importance(tmp_path / "i.dat")
    write_sample(tmp_path)
    with pytest.raises(CheckpointError, match=r"general\.type is not imatrix"):
        read_importance(tmp_path / "sample.gguf")
