"""What a configuration can turn on or off beside what most checkpoints have: each on both devices.

Held against transformers as in test_transformers.py, prompt and decoding alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from safetensors import safe_open
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from . import gguf_file, reference
from .families import FAMILIES
from .families.deepseek import LATENT
from .families.others import GRANITE_4
from .families.qwen import EXPERTS
from .forward import logits

TOKENS = torch.randint(3, 96, (45,), generator=torch.Generator().manual_seed(7)).tolist()
WINDOW = {"use_sliding_window": True, "sliding_window": 6}
SHARED = {**EXPERTS, "shared_expert_intermediate_size": 24}
V2: dict[str, Any] = {**LATENT, "n_group": None, "topk_group": None}

# None: the key is left out of config.json
SWITCHES: list[tuple[str, dict[str, Any]]] = [
    ("llama", {"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),
    ("mistral", {"sliding_window": 1}),
    ("qwen2", {**WINDOW, "max_window_layers": 0}),
    ("qwen3", {**WINDOW, "max_window_layers": 2, "head_dim": 12}),
    ("qwen2-moe", {**SHARED, **WINDOW, "max_window_layers": 2}),
    ("qwen2-moe", {**SHARED, "qkv_bias": False}),
    ("qwen2-moe", {**SHARED, "norm_topk_prob": None}),
    ("qwen3-moe", {**EXPERTS, **WINDOW, "max_window_layers": 2, "head_dim": 12}),
    ("qwen3-moe", {**EXPERTS, "norm_topk_prob": None, "head_dim": 12}),
    ("gpt2", {"scale_attn_weights": False}),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    ("gpt2", {"activation_function": "relu"}),
    ("gpt2", {"n_embd": 28, "n_head": 4}),
    ("gpt-bigcode", {"scale_attn_weights": False}),
    ("gpt-bigcode", {"n_embd": 28}),
    ("gptj", {"activation_function": "relu", "rotary_dim": 4}),
    ("gptneox", {"hidden_act": "relu", "hidden_size": 64}),
    ("falcon", {"activation": "gelu_pytorch_tanh"}),
    ("bloom", {"apply_residual_connection_post_layernorm": True}),
    ("bloom", {"hidden_size": 28}),
    ("gpt-oss", {"attention_bias": False, "sliding_window": 1}),
    ("gpt-oss", {"num_local_experts": 4, "num_experts_per_tok": 4, "swiglu_limit": 0.2}),
    ("gpt-oss", {"layer_types": None, "num_hidden_layers": 3, "hidden_size": 64,
                 "intermediate_size": 32, "head_dim": 64}),
    ("granite-4", {**GRANITE_4, "num_local_experts": 0, "num_experts_per_tok": 0,
                   "position_embedding_type": "nope"}),
    # transformers has the limits in prompts, and not where a token is fed by itself
    ("bamba", {"time_step_limit": [0.2, 1.5]}),
    ("bamba", {"attn_layer_indices": []}),
    ("deepseek-v2", {**V2, "topk_method": "greedy", "norm_topk_prob": False}),
    ("deepseek-v2", {**V2, "topk_method": "greedy", "attention_bias": True}),
]  # fmt: skip
DEVICES = ["reference", "cpu"]


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def load(path: Path, device: str, **overrides: Any) -> Loaded:
    registry = Registry()
    options = LoadOptions(
        device=device, dtype="f32", activations="f32", num_ctx=64, overrides=overrides
    )
    return load_model(open_checkpoint(path, registry), registry, options)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("family", "change"), SWITCHES, ids=str)
def test_switches(family: str, change: dict[str, Any], device: str, tmp_path: Path) -> None:
    record = FAMILIES[family]
    said = {key: value for key, value in change.items() if value is not None}
    if family == "gpt2":
        # by a file of another kind, which does not have these settings
        theirs = gguf_file.pair(family, Type.F32, tmp_path / "model.gguf", **said)
        switched = {key: value for key, value in said.items() if key not in ("n_embd", "n_head")}
        ours = load(tmp_path / "model.gguf", device, **switched)
    else:
        theirs = reference.random(record, {**record.shared, **said}, 11)
        reference.save(record, theirs, tmp_path)
        file = tmp_path / "config.json"
        saved = json.loads(file.read_text("utf-8")) | change
        written = {
            key: value for key, value in saved.items() if key not in change.keys() - said.keys()
        }
        file.write_text(json.dumps(written), "utf-8")
        ours = load(tmp_path, device)
    (mine,) = logits(ours, [TOKENS], prompts=[30], chunk=16)
    assert difference(mine, reference.prefill(theirs, TOKENS)) < 1e-4


@pytest.mark.parametrize(
    "family",
    ["mixtral", "qwen2-moe", "qwen3-moe", "phimoe", "glm4-moe", "granite-moe", "granite-shared",
     "deepseek-v2", "deepseek-v3"],
)  # fmt: skip
def test_experts_as_they_are_in_memory(family: str, tmp_path: Path) -> None:
    """Stacked, gate and up in one: transformers 5 loads either way, and saves either."""
    record = FAMILIES[family]
    settings = {**record.shared, **next(iter(record.variants.values()))}
    theirs = reference.random(record, settings, 11)
    theirs.save_pretrained(tmp_path, save_original_format=False)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert any(name.endswith("experts.gate_up_proj") for name in file.keys())  # noqa: SIM118
    (mine,) = logits(load(tmp_path, "cpu"), [TOKENS], prompts=[30])
    assert difference(mine, reference.prefill(theirs, TOKENS)) < 1e-4
