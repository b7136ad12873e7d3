"""A configuration as the metadata of a GGUF file: `config.py` backwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tramontane.blocks import Attention, CausalLM
from tramontane.config import DecoderConfig
from tramontane.config.decoder import of_layer

from tramontane_quant_gguf.config import WORDS

from .families import Family

OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "expert_count": ("num_local_experts", "num_experts", "n_routed_experts"),
    "logit_scale": ("logits_scaling", "logit_scale"),
    "expert_shared_feed_forward_length": (
        "shared_expert_intermediate_size", "shared_intermediate_size",
    ),
    "attention.clamp_kqv": ("clip_qkv",),
}  # fmt: skip
"""Fields that a key may be from, where the table has another or one of several."""


def keys_of(cfg: DecoderConfig, model: CausalLM, family: Family) -> dict[str, Any]:
    """Keys below the family's name, and their values; without rotary scaling."""
    kept = dict(_common(cfg, family))
    for key in family.keys:
        words = OTHER_WORDS.get(key, (WORDS[key],))
        words = (*words, *(cfg.spellings[word] for word in words if word in cfg.spellings))
        values = [value for word in words if (value := getattr(cfg, word, None)) is not None]
        if values and not (key.startswith("expert_") and values[0] == 0):
            kept[key] = values[0]
    if "expert_count" not in kept:
        kept.pop("expert_used_count", None)
    kept |= family.fixed
    if (wide := getattr(cfg, "shared_intermediate_size", 0)) and not getattr(
        cfg, "num_local_experts", 1
    ):
        kept["feed_forward_length"] = wide  # of Granite 4 without experts
    if hasattr(cfg, "kv_lora_rank"):
        kept |= _latent(cfg)
    if family.windowed:
        windows = [each.window for each in model.modules() if isinstance(each, Attention)]
        kept["attention.sliding_window"] = max((w for w in windows if w is not None), default=0)
        if family.listed and kept["attention.sliding_window"]:
            kept["attention.sliding_window_pattern"] = [w is not None for w in windows]
    if hasattr(cfg, "rope_finetuned") or hasattr(cfg, "position_embedding_type"):
        kept["rope.scaling.finetuned"] = cfg.rotary
    return kept | (family.own(cfg) if family.own else {})


def _common(cfg: Any, family: Family) -> Iterator[tuple[str, Any]]:
    layers = range(cfg.num_hidden_layers)

    def each(field: str) -> int | list[int]:
        value = getattr(cfg, field)
        return [of_layer(value, layer) for layer in layers] if isinstance(value, tuple) else value

    yield "block_count", cfg.num_hidden_layers
    yield "context_length", cfg.max_position_embeddings
    yield "embedding_length", cfg.hidden_size
    yield "feed_forward_length", each("intermediate_size")
    yield "attention.head_count", each("num_attention_heads")
    yield "attention.head_count_kv", each("num_key_value_heads")
    yield "attention.key_length", cfg.head_dim
    yield "attention.value_length", cfg.head_dim
    yield "vocab_size", cfg.vocab_size
    yield family.norm_key, float(getattr(cfg, "layer_norm_eps", cfg.rms_norm_eps))
    if cfg.rotary:
        yield "rope.freq_base", float(cfg.rope_theta)
        yield "rope.dimension_count", int(cfg.head_dim * cfg.partial_rotary_factor)


def _latent(cfg: Any) -> dict[str, Any]:
    turned = cfg.qk_rope_head_dim
    return {
        "attention.head_count_kv": 1,
        "attention.key_length": cfg.kv_lora_rank + turned,
        "attention.value_length": cfg.kv_lora_rank,
        "attention.key_length_mla": cfg.qk_nope_head_dim + turned,
        "attention.value_length_mla": cfg.v_head_dim,
        "rope.dimension_count": turned,
        "expert_gating_func": 1 if getattr(cfg, "scoring_func", "") == "softmax" else 2,
    }


def window_beyond(model: CausalLM, keys: Mapping[str, Any]) -> int | None:
    """The narrowest window of a model whose file cannot say that there is one."""
    if "attention.sliding_window" in keys:
        return None
    windows = [each.window for each in model.modules() if isinstance(each, Attention)]
    return min((each for each in windows if each is not None), default=None)
