"""Adapters in GGUF files: the very numbers of those that peft has saved, once they are converted as
llama.cpp does it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file
from tramontane import LLM
from tramontane.errors import CheckpointError
from tramontane_quant_gguf.adapter.read import read_adapter

DATA = Path(__file__).parents[4] / "shared/golden/adapters/data"
PREFIX = "base_model.model."
CASES = [
    ("plain", "base-llama", "llama"), ("all-linear", "base-llama", "llama"),
    ("layers", "base-llama", "llama"), ("embedding", "base-llama", "llama"),
    ("tied-head", "base-llama-tied", "llama"), ("tied-embedding", "base-llama-tied", "llama"),
    ("fused-qkv", "base-phi3", "phi3"), ("router", "base-mixtral", "llama"),
    ("experts", "base-mixtral", "llama"),
]  # fmt: skip
golden = pytest.mark.skipif(not DATA.exists(), reason=f"no adapters at {DATA}")


def permuted(b: Any, heads: int) -> Any:
    """Rows of q or k as the converter of llama's family orders them."""
    return b.reshape(heads, 2, -1, b.shape[1]).swapaxes(1, 2).reshape(b.shape)


def converted(name: str, base: str, arch: str) -> Iterator[tuple[str, Any]]:
    """An adapter of peft's as tensors under GGUF's names."""
    config = json.loads((DATA / base / "config.json").read_text())
    kind = next(kind for kind, known in gguf.MODEL_ARCH_NAMES.items() if known == arch)
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    tensors = load_file(DATA / name / "adapter_model.safetensors")
    count = config.get("num_local_experts", 0)
    for key, data in tensors.items():
        module = key.removeprefix(PREFIX).removesuffix(".weight")
        if ".experts." in module:
            yield from experts(module, data, tensors, count)
            continue
        module, _, part = module.rpartition(".")
        if part not in ("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B"):
            continue  # a copy of the model's own
        stem = names.get_name(module)
        assert stem is not None, module
        if arch == "llama" and module.endswith(("q_proj", "k_proj")) and part == "lora_B":
            heads = "num_attention_heads" if "q_proj" in module else "num_key_value_heads"
            data = permuted(data, config[heads])
        turned = part == "lora_embedding_A"
        yield f"{stem}.weight.lora_{part[-1].lower()}", data.T if turned else data


def experts(module: str, data: Any, tensors: Any, count: int) -> Iterator[tuple[str, Any]]:
    """module: with `base_layer` where it is of gate_up_proj."""
    block = f"blk.{module.split('.')[2]}"
    inner = "base_layer" in module
    ends = ("gate", "up") if inner else ("down",)
    if module.endswith("lora_A"):
        for end in ends:
            yield f"{block}.ffn_{end}_exps.weight.lora_a", data.reshape(count, -1, data.shape[1])
        return
    left = data.reshape(len(data), -1, count).transpose(2, 0, 1)
    for end, part in zip(ends, np.split(left, len(ends), axis=1), strict=True):
        yield f"{block}.ffn_{end}_exps.weight.lora_b", part


def written(path: Path, tensors: Any, alpha: float | None, **changes: Any) -> Path:
    told = {"general.type": "adapter", "adapter.type": "lora", **changes}
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in told.items():
        if value is not None:
            writer.add_string(key, value)
    if alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    for name, data in dict(tensors).items():
        plain, kind = (data, None) if isinstance(data, np.ndarray) else data
        writer.add_tensor(name, np.ascontiguousarray(plain), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@golden
@pytest.mark.parametrize(("name", "base", "arch"), CASES)
def test_the_numbers_are_pefts(name: str, base: str, arch: str, tmp_path: Path) -> None:
    alpha = json.loads((DATA / name / "adapter_config.json").read_text())["lora_alpha"]
    path = written(tmp_path / "a.gguf", converted(name, base, arch), float(alpha))
    with LLM(DATA / base, device="reference", dtype="f32") as llm:
        theirs, ours = (llm.inner.adapters.load(n, p) for n, p in (("p", DATA / name), ("g", path)))
        assert {key: len(parts) for key, parts in ours.deltas.items()} == {
            key: len(parts) for key, parts in theirs.deltas.items()
        }
        assert ours.digest == theirs.digest


PAIR = {
    "blk.0.attn_v.weight.lora_a": np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32),
    "blk.0.attn_v.weight.lora_b": np.linspace(1, 2, 64, dtype=np.float32).reshape(32, 2),
}


@pytest.mark.parametrize("kind", [Type.F32, Type.F16, Type.BF16, Type.Q8_0])
@pytest.mark.parametrize(("alpha", "scale"), [(4.0, 2.0), (0.0, 1.0), (None, 1.0)])
def test_types_and_scales(kind: Type, alpha: float | None, scale: float, tmp_path: Path) -> None:
    first, second = PAIR.values()
    stored = gguf.quants.quantize(first, kind)
    pair = {next(iter(PAIR)): (stored, kind), list(PAIR)[1]: second}
    found = read_adapter(written(tmp_path / "a.gguf", pair, alpha))
    matrix = found.deltas["blk.0.attn_v.weight"].matrix
    assert torch.equal(matrix.right, torch.from_numpy(gguf.quants.dequantize(stored, kind)))
    assert torch.equal(matrix.left, torch.from_numpy(second) * scale)
    assert found.dialect == "gguf"
    assert read_adapter(tmp_path).deltas.keys() == found.deltas.keys(), "the only one of a folder"


def test_norms_take_the_place_of_the_models(tmp_path: Path) -> None:
    norm = np.ones(32, np.float32)
    found = read_adapter(written(tmp_path / "a.gguf", {**PAIR, "output_norm.weight": norm}, 4.0))
    assert list(found.values) == ["output_norm.weight"]


A, B = PAIR


@pytest.mark.parametrize(
    ("tensors", "changes", "said"),
    [
        (PAIR, {"general.type": "model"}, "no adapter: its general.type"),
        (PAIR, {"adapter.type": "control"}, "adapter.type 'control' is not supported"),
        (PAIR, {"adapter.type": None}, "adapter.type None is not supported"),
        (PAIR, {"adapter.alora.invocation_tokens": "x"}, "invocation_tokens is not supported"),
        ({A: PAIR[A]}, {}, "attn_v.weight has no .lora_b"),
        ({A: PAIR[A], B: PAIR[B][:, :1].copy()}, {}, r"\(2, 32\) and .lora_b \(32, 1\)"),
        ({A: PAIR[A][None], B: PAIR[B]}, {}, "which are no"),
        ({**PAIR, "blk.0.attn_v.weight": PAIR[B]}, {}, "neither a .lora_a nor"),
        ({A: PAIR[A] * np.nan, B: PAIR[B]}, {}, "numbers that are not finite"),
    ],
)
def test_what_is_refused(tensors: Any, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.gguf", tensors, 4.0, **changes)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_adapter(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("alpha", [-1.0, float("inf"), float("nan")])
def test_scales_that_cannot_be(alpha: float, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="should be a number from 0 on"):
        read_adapter(written(tmp_path / "a.gguf", PAIR, alpha))


def test_which_of_a_folders_files(tmp_path: Path) -> None:
    for name in "ab":
        written(tmp_path / f"{name}.gguf", PAIR, 4.0)
    with pytest.raises(CheckpointError, match="has 2 GGUF files: name one"):
        read_adapter(tmp_path)
