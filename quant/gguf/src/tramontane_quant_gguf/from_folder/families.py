"""What llama.cpp reads of each family: keys beyond those that all have, and how matrices are fused.

A key that is not here is not read by llama.cpp for that family, so that it is not written either: a
file must mean the same there and here. Source: llama.cpp's `load_arch_hparams` and
`load_arch_tensors` of each architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

LATENT = (
    "attention.q_lora_rank", "attention.kv_lora_rank",
)  # fmt: skip
EXPERTS = ("expert_count", "expert_used_count")
GROUPED = (
    *EXPERTS, "expert_feed_forward_length", "expert_shared_count", "expert_weights_scale",
    "expert_weights_norm", "leading_dense_block_count",
)  # fmt: skip
SCALES = ("attention.scale", "embedding_scale", "residual_scale", "logit_scale")


@dataclass(frozen=True)
class Family:
    """keys: of `config.WORDS`, below the family's name. fixed: values that no configuration has.

    fused: whether q, k and v are one matrix, and gate and up where the family's rules know that.
    norm_key: under which name the norms' epsilon is. freqs, longrope: whether there may be
    tensors with divisors of rotary frequencies. windowed: whether layers may see a window only.
    needs, unknown: tensors without which, or with which, llama.cpp loads no file of the family.
    """

    keys: tuple[str, ...] = ()
    fixed: Mapping[str, int | float | bool] = field(default_factory=dict)
    fused: bool = False
    norm_key: str = "attention.layer_norm_rms_epsilon"
    freqs: bool = False
    longrope: bool = False
    windowed: bool = False
    needs: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


HEAD, BIASES = ("output.weight",), ("blk.*.attn_*.bias",)
LAYER_NORM = "attention.layer_norm_epsilon"

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "llama": Family(EXPERTS, freqs=True, longrope=True),
        "gemma": Family(unknown=HEAD),
        "gemma2": Family(
            ("attn_logit_softcapping", "final_logit_softcapping"), windowed=True, unknown=HEAD
        ),
        "gemma3": Family(("final_logit_softcapping",), windowed=True),
        "qwen2": Family(),
        "qwen3": Family(unknown=BIASES),
        "qwen2moe": Family(
            (*EXPERTS, "expert_feed_forward_length", "expert_shared_feed_forward_length")
        ),
        "qwen3moe": Family((*EXPERTS, "expert_feed_forward_length"), unknown=BIASES),
        "phi2": Family(norm_key=LAYER_NORM, unknown=("blk.*.attn_?_norm.*",)),
        "phi3": Family(fused=True, longrope=True, windowed=True),
        "phimoe": Family(
            EXPERTS, longrope=True, windowed=True, needs=("output.bias", "blk.0.attn_output.bias")
        ),
        "gpt2": Family(norm_key=LAYER_NORM, fused=True),
        "gptneox": Family(("use_parallel_residual",), norm_key=LAYER_NORM, fused=True, needs=HEAD),
        "bloom": Family(norm_key=LAYER_NORM, fused=True),
        "mpt": Family(
            ("attention.clamp_kqv", "attention.max_alibi_bias"), norm_key=LAYER_NORM, fused=True
        ),
        "falcon": Family(norm_key=LAYER_NORM, fused=True),
        "starcoder": Family(norm_key=LAYER_NORM, fused=True),
        "starcoder2": Family(norm_key=LAYER_NORM, needs=("blk.0.attn_output.bias",)),
        "glm4": Family(fused=True),
        "glm4moe": Family(
            (*GROUPED, "expert_group_count", "expert_group_used_count"),
            {"expert_gating_func": 2},
        ),
        "smollm3": Family(),
        "granite": Family(SCALES, freqs=True, longrope=True),
        "granitemoe": Family(
            (*SCALES, *EXPERTS, "expert_shared_feed_forward_length"), freqs=True, longrope=True
        ),
        "deepseek2": Family(
            (*GROUPED, *LATENT, "expert_group_count", "expert_group_used_count"),
        ),
    }
)
"""By `general.architecture`."""

CALLED = {
    "MistralForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "GraniteMoeHybridForCausalLM": "granitemoe",
}
"""Classes of config.json whose files have another family's name."""
