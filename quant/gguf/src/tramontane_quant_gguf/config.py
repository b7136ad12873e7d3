"""A GGUF file's metadata in the words of config.json.

Source: the GGUF specification's standardized keys, and the words of Hugging Face's configurations.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.config import UNSUPPORTED
from tramontane.errors import CheckpointError

from .header import Stretch
from .implied import implied
from .rope import Factors, partial_rotary, rope_scaling
from .values import Values

WORDS: dict[str, str] = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.key_length_mla": "key_length_mla",
    "attention.value_length": "v_head_dim",
    "attention.value_length_mla": "v_head_dim",
    "attention.clamp_kqv": "clip_qkv",
    "attention.max_alibi_bias": "max_alibi_bias",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_eps",
    "attention.sliding_window": "sliding_window",
    "attention.q_lora_rank": "q_lora_rank",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.scale": "attention_multiplier",
    "rope.freq_base": "rope_theta",
    "rope.freq_base_swa": "rope_local_base_freq",
    "rope.dimension_count": "qk_rope_head_dim",
    "rope.scaling.finetuned": "rope_finetuned",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "logit_scale": "logit_scale",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "expert_count": "num_local_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_shared_count": "n_shared_experts",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    "expert_weights_scale": "routed_scaling_factor",
    "expert_weights_norm": "norm_topk_prob",
    "expert_group_count": "n_group",
    "expert_group_used_count": "topk_group",
    "expert_gating_func": "expert_gating_func",
    "use_parallel_residual": "use_parallel_residual",
    "leading_dense_block_count": "first_k_dense_replace",
    "interleave_moe_layer_step": "interleave_moe_layer_step",
}
"""Keys below the architecture's name; a file has those that its family needs."""

PRESENT: dict[str, str] = {
    "attention_bias": "attn_q{}.bias",
    "attention_out_bias": "attn_output.bias",
    "qkv_bias": "attn_q{}.bias",
    "mlp_bias": "ffn_up.bias",
    "use_bias": "attn_output.bias",
    "bias": "attn_output.bias",
    "use_qk_norm": "attn_q_norm.weight",
    "qk_layernorm": "attn_q_norm.weight",
    "second_norm": "attn_norm_2.weight",
    "mamba_rms_norm": "ssm_norm.weight",
    "feed_forward_norm": "ffn_norm.weight",
    "group_norm": "time_mix_ln.weight",
}
"""What no key says, but whether a layer has a tensor; `{}` stands for "" or "kv"."""

ABSENT: dict[str, tuple[str, str]] = {"attention_k_eq_v": ("attn_k.weight", "attn_v.weight")}
"""What no key says, but whether a layer has the first tensor and not the second."""

OF_LAYERS: dict[str, str] = {"layers_with_experts": "ffn_gate_inp.weight"}
"""What no key says, but which layers have a tensor: a list of bools."""

REFUSED: dict[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.temperature_scale": (0.0,),
    "attention.value_scale": (0.0, 1.0),
}
"""Keys that change what is computed, and the values with which they do not."""

READ_BY = {"attention.temperature_scale": ("mistral3",)}
"""Architectures that read such a key themselves, from the metadata."""

TOKENS: dict[str, str] = {
    "tokenizer.ggml.bos_token_id": "bos_token_id",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
}

SAMPLING: dict[str, str] = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
    "penalty_last_n": "repeat_last_n",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
"""Keys below `general.sampling`, in generation_config.json's words where it has one."""


WITH_EXPERTS = {"llama": "mixtral"}
"""Architectures that files with experts have under the name of one without."""


def header_architecture(metadata: Mapping[str, Any], path: Path) -> str:
    """What the model is: `general.architecture`, and whether it has experts."""
    name = architecture_of(metadata, path)
    return WITH_EXPERTS.get(name, name) if metadata.get(f"{name}.expert_count") else name


def architecture_of(metadata: Mapping[str, Any], path: Path) -> str:
    """`general.architecture`. Raises CheckpointError when it is missing."""
    name = metadata.get("general.architecture")
    if not isinstance(name, str) or not name:
        raise CheckpointError(f"{path}: general.architecture={name!r} names no architecture")
    return name


def config_of(
    metadata: Mapping[str, Any], tensors: Mapping[str, Stretch], factors: Factors, path: Path
) -> dict[str, Any]:
    """config.json's keys, those that the file has. Raises CheckpointError naming file and key."""
    architecture = architecture_of(metadata, path)

    layers = metadata.get(f"{architecture}.block_count")

    def get(key: str) -> Any:
        return _of_layers(
            metadata.get(f"{architecture}.{key}"), layers, f"{architecture}.{key}", path
        )

    config = {word: value for key, word in WORDS.items() if (value := get(key)) is not None}
    config["model_type"] = architecture
    config[UNSUPPORTED] = [
        f"{architecture}.{key}={reprlib.repr(value)}"
        for key, neutral in REFUSED.items()
        if (value := get(key)) is not None
        and value not in neutral
        and architecture not in READ_BY.get(key, ())
    ]
    tokens = metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Values):  # converters have written wrong numbers as vocab_size
        config["vocab_size"] = len(tokens)
    if "vocab_size" not in config and "token_embd.weight" in tensors:
        config["vocab_size"] = tensors["token_embd.weight"].shape[0]
    for key, word in TOKENS.items():
        # files without a token write 2^32 - 1
        if isinstance(token := metadata.get(key), int) and token < config.get("vocab_size", 0):
            config[word] = token
    if config.get("sliding_window") == 0:  # how files say that there is none
        del config["sliding_window"]
    if isinstance(ahead := get("nextn_predict_layers"), int):  # layers that guess further tokens
        config["num_hidden_layers"] = config.get("num_hidden_layers", 0) - ahead
    config |= _slides(metadata.get(f"{architecture}.attention.sliding_window_pattern"))
    try:
        config |= implied(architecture, config)
        scaling = rope_scaling(get, factors, path)
        part = partial_rotary(config, get("rope.dimension_count"))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: settings of the model are not numbers: {error}") from error
    if scaling is not None:
        config["rope_scaling"] = scaling
    config["partial_rotary_factor"] = part
    config["tie_word_embeddings"] = "output.weight" not in tensors
    config["lm_head_bias"] = "output.bias" in tensors
    for word, tensor in PRESENT.items():
        config[word] = any(f"blk.0.{tensor.format(more)}" in tensors for more in ("", "kv"))
    for word, (there, missing) in ABSENT.items():
        config[word] = any(
            f"{name.removesuffix(there)}{missing}" not in tensors
            for name in tensors
            if name.endswith(f".{there}")
        )
    count = min(layers, 4096) if isinstance(layers, int) else 0
    for word, tensor in OF_LAYERS.items():
        config[word] = [f"blk.{index}.{tensor}" in tensors for index in range(count)]
    return config


def _slides(pattern: Any) -> dict[str, Any]:
    """Which layers have a window: each by itself, or all but every nth."""
    if isinstance(pattern, Values):
        kinds = ("full_attention", "sliding_attention")
        return {"layer_types": [kinds[bool(slides)] for slides in pattern]}
    return {} if pattern is None else {"sliding_window_pattern": pattern}


def _of_layers(value: Any, layers: Any, key: str, path: Path) -> Any:
    """One value for all layers, or a tuple of one for each. An array whose values are equal is one.

    layers: how many there are. Raises CheckpointError for an array of another length.
    """
    if not isinstance(value, Values):
        return value
    each = tuple(value)
    if each and all(other == each[0] for other in each):
        return each[0]
    if each and len(each) != layers:
        raise CheckpointError(
            f"{path}: {key} has {len(each)} values ({reprlib.repr(list(each))}) for {layers} layers"
        )
    return each or None


def sampling_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The sampling settings that the model's makers recommend."""
    found = {word: metadata.get(f"general.sampling.{key}") for key, word in SAMPLING.items()}
    return {word: value for word, value in found.items() if isinstance(value, int | float)}
