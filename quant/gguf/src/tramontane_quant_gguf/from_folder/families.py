"""What llama.cpp reads of each family: keys beyond those that all have, and how matrices are fused.

A key that is not here is not read by llama.cpp for that family, so that it is not written either: a
file must mean the same there and here. Source: llama.cpp's `load_arch_hparams` and
`load_arch_tensors` of each architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from . import own_keys, restated
from .restated import Read, Restated

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
    tensors with divisors of rotary frequencies. windowed: whether layers may see a window only;
    listed: and which of them do. yarn_multiplier: what llama.cpp's converter writes of an
    mscale_all_dim of 1. own: keys of fields that `config.WORDS` has no word for. restate:
    what the file says otherwise than a configuration.
    needs, unknown: tensors without which, or with which, llama.cpp loads no file of the family.
    """

    keys: tuple[str, ...] = ()
    fixed: Mapping[str, int | float | bool] = field(default_factory=dict)
    fused: bool = False
    norm_key: str = "attention.layer_norm_rms_epsilon"
    freqs: bool = False
    longrope: bool = False
    windowed: bool = False
    listed: bool = False
    yarn_multiplier: float = 0.1
    own: Callable[[Any], dict[str, Any]] | None = None
    restate: Callable[[Any, Read], Restated] | None = None
    needs: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


HEAD, BIASES = ("output.weight",), ("blk.*.attn_*.bias",)
OUT_BIASES = ("blk.*.attn_output.bias", "blk.*.ffn_*.bias")
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
            own=own_keys.first_dense,
        ),
        "olmo": Family(("attention.clamp_kqv",), norm_key=LAYER_NORM, unknown=BIASES),
        "olmo2": Family(windowed=True, listed=True, needs=HEAD, unknown=BIASES),
        "olmoe": Family(EXPERTS, needs=HEAD, unknown=BIASES),
        "command-r": Family(
            ("logit_scale",), norm_key=LAYER_NORM, own=own_keys.command_r, unknown=(*HEAD, *BIASES)
        ),
        "cohere2": Family(
            ("logit_scale",), norm_key=LAYER_NORM, windowed=True, unknown=(*HEAD, *BIASES)
        ),
        "seed_oss": Family(unknown=OUT_BIASES),
        "ernie4_5": Family(unknown=("blk.*.ffn_*.bias",)),
        "ernie4_5-moe": Family(
            (
                *EXPERTS,
                "expert_feed_forward_length",
                "expert_shared_count",
                "leading_dense_block_count",
                "interleave_moe_layer_step",
            ),
            own=own_keys.ernie_moe,
        ),
        "arcee": Family(freqs=True, unknown=OUT_BIASES),
        "nemotron": Family(norm_key=LAYER_NORM, needs=HEAD, own=own_keys.equal_parts),
        "exaone4": Family(freqs=True, windowed=True, listed=True, own=own_keys.exaone4),
        "apertus": Family(freqs=True, restate=restated.apertus, needs=HEAD),
        "stablelm": Family(("use_parallel_residual",), norm_key=LAYER_NORM, needs=HEAD),
        "gpt-oss": Family(EXPERTS, windowed=True, own=own_keys.experts_as_wide, needs=HEAD),
        "gemma4": Family(
            ("rope.freq_base_swa",),
            windowed=True,
            listed=True,
            own=own_keys.gemma4,
            restate=restated.gemma4,
        ),
        "minimax-m2": Family(EXPERTS, {"expert_gating_func": 2}, own=own_keys.experts_as_wide),
        "hunyuan-dense": Family(unknown=OUT_BIASES),
        "hunyuan-moe": Family(EXPERTS, own=own_keys.hunyuan_moe, unknown=OUT_BIASES),
        "dots1": Family(GROUPED, {"expert_gating_func": 2}, own=own_keys.dots1),
        "mistral3": Family(own=own_keys.growing, yarn_multiplier=1.0),
        "qwen3next": Family(
            (*EXPERTS, "expert_feed_forward_length", "expert_shared_feed_forward_length"),
            own=own_keys.delta_net,
            fused=True,
        ),
        "qwen35": Family(own=own_keys.sectioned_delta_net, restate=restated.tiled_heads),
        "qwen35moe": Family(
            (*EXPERTS, "expert_feed_forward_length", "expert_shared_feed_forward_length"),
            own=own_keys.sectioned_delta_net,
            restate=restated.tiled_heads,
        ),
        "granitehybrid": Family(
            (*SCALES, *EXPERTS, "expert_shared_feed_forward_length"),
            own=own_keys.granite_hybrid,
            restate=restated.mamba2,
        ),
        "lfm2": Family(own=own_keys.lfm2),
        "lfm2moe": Family((*EXPERTS, "expert_feed_forward_length"), own=own_keys.lfm2_moe),
        "falcon-h1": Family(own=own_keys.mamba2, restate=restated.falcon_h1),
    }
)
"""By `general.architecture`."""

CALLED = {
    "MistralForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "GraniteMoeHybridForCausalLM": "granitemoe",
    "Glm4MoeLiteForCausalLM": "deepseek2",
    "Olmo2ForCausalLM": "olmo2",
}
"""Classes of config.json whose files have another family's name."""
