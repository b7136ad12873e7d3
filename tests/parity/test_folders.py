"""GGUF files that `tramontane quantize` writes from folders compute what the folders do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tramontane.checkpoint.build import build_for
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError, TramontaneError, UsageError
from tramontane.quantizing.source import QuantizeSource
from tramontane.registry import Registry
from tramontane_quant_gguf.encode.encode import quantize
from tramontane_quant_gguf.from_folder.convert import FolderModel
from tramontane_quant_gguf.from_folder.families import FAMILIES as WRITTEN

from .families import FAMILIES
from .folders import logits_of, to_gguf, write_folder

EXACT = {"query_pre_attn_scalar": 12, "head_dim": 12, "sliding_window": 7}
"""What Gemma's files can say: scores are scaled by the size of a head."""


def _is_written(family: str) -> bool:
    """Whether such folders become GGUF files."""
    about = FAMILIES[family].gguf
    if family == "bamba":  # whose files are Granite's by name
        return False
    return family == "granite-4" or (about is not None and about.arch in WRITTEN)


def _with(family: str, variant: str, **more: Any) -> dict[str, Any]:
    return {**FAMILIES[family].variants[variant], **more}


EQUAL_HEADS = {"linear_key_head_dim": 12, "linear_value_head_dim": 12}
"""llama.cpp has one size for heads of keys and of values where layers keep a state."""
DOTS_GROUPS = FAMILIES["dots1"].variants["groups"]
DEEP = {"num_hidden_layers": 64, "hidden_size": 16, "intermediate_size": 16}
"""llama.cpp knows the largest models of some families by their 64 layers."""
CASES: dict[str, dict[str, Any]] = {
    family: next(iter(FAMILIES[family].variants.values()))
    for family in FAMILIES
    if family not in ("gptj", "gemma2", "gemma3", "exaone4") and _is_written(family)
} | {
    **{
        name: _with(name, next(iter(FAMILIES[name].variants)), **EQUAL_HEADS)
        for name in ("qwen3-next", "qwen3.5", "qwen3.5-moe")
    },
    "exaone4": _with("exaone4", "no-window", head_dim=12),
    "dots1": _with("dots1", "shared", num_key_value_heads=4),
    "gemma4": _with("gemma4", "shared", num_kv_shared_layers=2),
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
    ("deepseek-v3", "halves"), ("deepseek-v3", "yarn"), ("glm4-moe-lite", "yarn"),
    ("olmo", "clipped"), ("olmo2", "linear"), ("olmo3", "listed"), ("nemotron", "biases"),
    ("apertus", "llama3"), ("stablelm", "parallel"), ("seed-oss", "no-bias"), ("arcee", "yarn"),
    ("gpt-oss", "odd-heads"), ("gemma4", "values-are-keys"), ("gemma4", "everything"),
    ("minimax-m2", "yarn"), ("hunyuan-moe", "one-expert"), ("granite-4", "hybrid-limits"),
]  # fmt: skip
OWN = [
    ("cohere", _with("cohere", "normed-heads", **DEEP)),
    ("exaone4", _with("exaone4", "every-fourth", **DEEP)),
    ("ernie-moe", _with("ernie-moe", "shared", moe_num_shared_experts=0)),
    ("falcon-h1", _with("falcon-h1", "norm-first", mamba_norm_before_gate=False)),
    (
        "granite-4",
        _with("granite-4", "hybrid-experts", mamba_conv_bias=True, mamba_proj_bias=False),
    ),
    ("qwen3.5", _with("qwen3.5", "tied", **EQUAL_HEADS)),
]
"""Switches that a configuration has in no variant, or not together."""


@pytest.mark.parametrize("family", CASES)
def test_logits(family: str, tmp_path: Path) -> None:
    same(family, CASES[family], tmp_path)


@pytest.mark.parametrize(("family", "variant"), OTHERS)
def test_switches(family: str, variant: str, tmp_path: Path) -> None:
    same(family, FAMILIES[family].variants[variant], tmp_path)


@pytest.mark.parametrize(("family", "settings"), OWN, ids=[family for family, _ in OWN])
def test_switches_of_their_own(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    same(family, settings, tmp_path)


def same(family: str, settings: dict[str, Any], folder: Path) -> None:
    write_folder(family, settings, folder)
    to_gguf(folder, folder / "model.gguf")
    mine, theirs = logits_of(folder), logits_of(folder / "model.gguf")
    assert float((mine - theirs).abs().max() / mine.abs().max()) < BOUNDS.get(family, 3e-6)


BOUNDS = {"qwen3.5-moe": 8e-6, "gemma4": 6e-6}
"""Where sums are taken in another order: heads lie otherwise, and states add up."""


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
        ("olmo", FAMILIES["olmo"].variants["tied"], "loads no olmo with blk.0.attn_q.bias"),
        ("olmo2", {"tie_word_embeddings": True}, "loads no olmo2 without output.weight"),
        ("olmo3", FAMILIES["olmo3"].variants["yarn"], "layers.0.self_attn: rope is a rotation"),
        ("olmoe", FAMILIES["olmoe"].variants["normalized"], "normalize is True, in the file"),
        ("cohere", FAMILIES["cohere"].variants["normed-heads"], "use_qk_norm is True with 3 lay"),
        ("cohere2", FAMILIES["cohere2"].variants["pattern"], "layers.1.self_attn: rope is None"),
        ("ernie", FAMILIES["ernie"].variants["biases"], "no ernie4_5 with blk.0.ffn_gate.bias"),
        (
            "ernie-moe",
            FAMILIES["ernie-moe"].variants["alternating"],
            "and moe_layer_interval is 2",
        ),
        ("nemotron", FAMILIES["nemotron"].variants["head-dim"], "alone, and head_dim is 20"),
        ("exaone4", FAMILIES["exaone4"].variants["no-window"], "alone, and head_dim is 20"),
        (
            "exaone4",
            FAMILIES["exaone4"].variants["every-fourth"],
            "windows in models of 64 layers, and in no others; sliding_window is 7 with 4 layers",
        ),
        ("gpt-oss", FAMILIES["gpt-oss"].variants["tied"], "no gpt-oss without output.weight"),
        (
            "gemma4",
            FAMILIES["gemma4"].variants["shared"],
            "one with a window and one without",
        ),
        ("dots1", FAMILIES["dots1"].variants["shared"], "there are 2 and 4"),
        ("dots1", {**DOTS_GROUPS, "num_key_value_heads": 4}, "groups is (4, 2), in the file (1, 1"),
        ("qwen3.5", FAMILIES["qwen3.5"].variants["grouped"], "they are 10 and 14"),
        ("lfm2", FAMILIES["lfm2"].variants["indices"], "conv.bias is (48,), in the file None"),
        ("lfm2-moe", FAMILIES["lfm2-moe"].variants["scaled"], "scale is 1.7, in the file 1.0"),
        ("falcon-h1", FAMILIES["falcon-h1"].variants["norm-first"], "gate_first is False, in the"),
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


def test_measurements_are_of_the_columns_that_the_file_has(tmp_path: Path) -> None:
    """Of Qwen3.5, whose files have value heads in another order."""
    write_folder("qwen3.5", _with("qwen3.5", "grouped", **EQUAL_HEADS), tmp_path)
    registry = Registry()
    built = build_for(open_checkpoint(tmp_path, registry), registry)
    path = "model.layers.0.linear_attn.out_proj"
    measured = torch.rand(72, generator=torch.Generator().manual_seed(1))
    source = QuantizeSource(
        built.checkpoint, tmp_path, {}, measured={path: measured}, built=built, registry=registry
    )
    model = FolderModel(source)
    given = load_file(tmp_path / "model.safetensors")[f"{path}.weight"]
    written, importance = (
        model.read("blk.0.ssm_out.weight"),
        model.importance("blk.0.ssm_out.weight"),
    )
    assert importance is not None
    assert not torch.equal(importance, measured)
    assert torch.allclose(written.square() @ importance, given.float().square() @ measured)


@pytest.mark.parametrize("family", ["gptj", "opt", "codegen", "persimmon", "bamba"])
def test_families_that_llama_cpp_does_not_know(family: str, tmp_path: Path) -> None:
    write_folder(family, next(iter(FAMILIES[family].variants.values())), tmp_path)
    with pytest.raises(UsageError, match=r"no GGUF files are written of .*ForCausalLM; write a f"):
        to_gguf(tmp_path, tmp_path / "model.gguf")


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
