"""GGUF files that `tramontane quantize` writes from folders compute what the folders do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError, TramontaneError, UsageError
from tramontane.registry import Registry
from tramontane_quant_gguf.encode.encode import quantize
from tramontane_quant_gguf.from_folder.families import FAMILIES as WRITTEN

from .families import FAMILIES
from .folders import logits_of, to_gguf, write_folder

EXACT = {"query_pre_attn_scalar": 12, "head_dim": 12, "sliding_window": 7}
"""What Gemma's files can say: scores are scaled by the size of a head."""


def _is_written(family: str) -> bool:
    """Whether such folders become GGUF files."""
    about = FAMILIES[family].gguf
    return family == "granite-4" or (about is not None and about.arch in WRITTEN)


CASES: dict[str, dict[str, Any]] = {
    family: next(iter(FAMILIES[family].variants.values()))
    for family in FAMILIES
    if family not in ("gptj", "gemma2", "gemma3", "glm4-moe-lite") and _is_written(family)
} | {
    "gemma2": EXACT,
    "gemma3": {**EXACT, "num_hidden_layers": 7},
    "phimoe": FAMILIES["phimoe"].variants["biases"],
    "phi2": {"num_key_value_heads": None, "hidden_size": 64},
}
OTHERS = [
    ("llama", "tied"), ("llama", "biases"), ("llama", "linear"), ("llama", "yarn"),
    ("llama", "yarn-mscale"), ("llama", "llama3"), ("llama", "longrope"),
    ("mixtral", "three-of-eight"), ("qwen2", "yarn"), ("qwen3-moe", "many"), ("phi3", "window"),
    ("phi3", "longrope"), ("gpt2", "untied"), ("gpt-bigcode", "all-heads"), ("mpt", "clipped"),
    ("gptneox", "sequential"), ("falcon", "new-decoder"), ("falcon", "one-norm"),
    ("glm4-moe", "groups"), ("granite", "multipliers"), ("granite-shared", "multipliers"),
    ("granite-4", "experts"), ("granite-4", "no-positions"), ("deepseek-v2", "greedy"),
    ("deepseek-v3", "halves"), ("deepseek-v3", "yarn"),
]  # fmt: skip


@pytest.mark.parametrize("family", CASES)
def test_logits(family: str, tmp_path: Path) -> None:
    same(family, CASES[family], tmp_path)


@pytest.mark.parametrize(("family", "variant"), OTHERS)
def test_switches(family: str, variant: str, tmp_path: Path) -> None:
    same(family, FAMILIES[family].variants[variant], tmp_path)


def same(family: str, settings: dict[str, Any], folder: Path) -> None:
    write_folder(family, settings, folder)
    to_gguf(folder, folder / "model.gguf")
    mine, theirs = logits_of(folder), logits_of(folder / "model.gguf")
    assert float((mine - theirs).abs().max() / mine.abs().max()) < 3e-6


@pytest.mark.parametrize(
    ("family", "settings", "why"),
    [
        ("llama", FAMILIES["llama"].variants["dynamic"], "no words for rope_scaling of type 'dyn"),
        ("qwen2", FAMILIES["llama"].variants["llama3"], "no words for rope_scaling of type 'llama"),
        ("gemma2", {**EXACT, "query_pre_attn_scalar": 15}, "self_attn: scale is 0.258"),
        (
            "gemma3",
            {**EXACT, "sliding_window_pattern": 2},
            "layers.1.self_attn: rope is a rotation",
        ),
        ("gpt2", {"activation_function": "gelu"}, "mlp: act is gelu, in the file"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "layers.1.self_attn: scale is"),
        ("mpt", FAMILIES["mpt"].variants["scaled"], "self_attn: scale is 0.5"),
        ("falcon", FAMILIES["falcon"].variants["linear-biases"], "would mean another model"),
        ("qwen3-moe", FAMILIES["qwen3-moe"].variants["unnormalized"], "normalize is False"),
        ("qwen3-moe", FAMILIES["qwen3-moe"].variants["some-dense"], "would mean another model"),
        ("smollm3", FAMILIES["smollm3"].variants["listed"], "rope is None, in the file a rotation"),
        ("qwen3", {"attention_bias": True}, "llama.cpp loads no qwen3 with blk.0.attn_q.bias"),
        (
            "gptneox",
            FAMILIES["gptneox"].variants["all-rotated"],
            "loads no gptneox without output.weight",
        ),
    ],
)
def test_what_a_file_cannot_say_is_refused(
    family: str, settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    write_folder(family, settings, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        to_gguf(tmp_path, tmp_path / "model.gguf")
    assert why in str(caught.value)
    assert "write a folder instead (--to afq4)" in str(caught.value)
    assert not (tmp_path / "model.gguf").exists()


def test_a_family_without_files_is_refused(tmp_path: Path) -> None:
    write_folder("gptj", FAMILIES["gptj"].variants["part-rotated"], tmp_path)
    with pytest.raises(
        UsageError, match="no GGUF files are written of GPTJForCausalLM; write a folder instead"
    ):
        to_gguf(tmp_path, tmp_path / "model.gguf")


def test_a_window_that_no_file_has_becomes_the_context(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_folder("mistral", {"sliding_window": 40}, tmp_path)
    to_gguf(tmp_path, tmp_path / "model.gguf")
    assert (
        "files of llama have no windows: the context of this one is the window, 40" in caplog.text
    )
    config = open_checkpoint(tmp_path / "model.gguf", Registry()).header.config
    assert config["max_position_embeddings"] == 40


STORED = {
    "f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0", "q4_0": "Q4_0", "q4_k_m": "Q4_K",
}  # fmt: skip


@pytest.mark.parametrize("kind", STORED)
def test_kinds(kind: str, tmp_path: Path) -> None:
    wide = {"hidden_size": 256, "intermediate_size": 256, "head_dim": 64}
    write_folder("llama", wide, tmp_path)
    to_gguf(tmp_path, tmp_path / "model.gguf", kind)
    tensors = open_checkpoint(tmp_path / "model.gguf", Registry()).header.tensors
    assert tensors["blk.0.attn_q.weight"].stored == STORED[kind]
    assert tensors["blk.0.attn_norm.weight"].stored == "F32"
    made = open_checkpoint(tmp_path / "model.gguf", Registry()).read("blk.0.ffn_up.weight")
    given = load_file(tmp_path / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    if kind in ("f32", "f16", "bf16"):
        expected = given.to(made.decode(None).dtype)
    else:
        expected = quantize(given, STORED[kind].lower()).decode()
    assert torch.equal(made.decode(torch.float32), expected.float())


def test_a_quantized_folder_is_decoded(tmp_path: Path) -> None:
    """Here one of float8 with a scale for each matrix, as transformers stores it."""
    from safetensors.torch import save_file

    write_folder("llama", {}, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        weight = tensors[name]
        scale = weight.abs().max() / 448
        tensors[name] = (weight / scale).to(torch.float8_e4m3fn)
        tensors[name.replace("weight", "weight_scale")] = scale.reshape(1)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    try:
        there = logits_of(tmp_path)
    except TramontaneError as error:
        pytest.skip(f"no quantizer of float8 is installed: {error}")
    to_gguf(tmp_path, tmp_path / "model.gguf")
    found = logits_of(tmp_path / "model.gguf")
    assert float((found - there).abs().max() / there.abs().max()) < 3e-6
