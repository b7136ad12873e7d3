"""What this distribution offers."""

from collections.abc import Iterator
from typing import Any

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}

SPARSE = TINY | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
HYBRID = {
    "head_dim": 16,
    "full_attention_interval": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "tie_word_embeddings": False,
}


VISION = {"depth": 2, "num_heads": 2, "patch_size": 7, "spatial_merge_size": 2}
VISIONS: dict[str, dict[str, Any]] = {
    "Qwen2VL": {"embed_dim": 16, "hidden_size": 32},
    "Qwen2_5_VL": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "out_hidden_size": 32,
        "window_size": 28,
        "fullatt_block_indexes": [1],
    },
    "Qwen3VL": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "out_hidden_size": 32,
        "num_position_embeddings": 9,
        "deepstack_visual_indexes": [0],
    },
}
ENCODERS = {
    "Qwen2VL": ("qwen2vl_merger", "qwen2vl"),
    "Qwen2_5_VL": ("qwen2.5vl_merger", "qwen2vl"),
    "Qwen3VL": ("qwen3vl_merger", "qwen3vl"),
}
"""What GGUF files call each one's encoder and language model."""
HEARING = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_mel_bins": 8,
    "max_source_positions": 16,
}
SECTIONS = {"rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]}}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="QWenLMHeadModel",
        aliases=("qwen",),
        config="tramontane_arch_qwen.first:QwenConfig",
        model="tramontane_arch_qwen.first:Qwen",
        weights="tramontane_arch_qwen.first:WEIGHTS",
        example=TINY | {"tie_word_embeddings": False},
    )
    yield Architecture(
        name="Qwen2ForCausalLM",
        aliases=("qwen2",),
        config="tramontane_arch_qwen.model:Qwen2Config",
        model="tramontane_arch_qwen.model:Qwen2",
        example=TINY,
    )
    yield Architecture(
        name="Qwen3ForCausalLM",
        aliases=("qwen3",),
        config="tramontane_arch_qwen.model:Qwen3Config",
        model="tramontane_arch_qwen.model:Qwen3",
        tasks={"rank": "tramontane_arch_qwen.rerank:YesNo"},
        example=TINY | {"head_dim": 16},
    )
    for name, module, gguf, weights, media in (
        ("Qwen2VL", "vl2", "qwen2", "WEIGHTS", "processor"),
        ("Qwen2_5_VL", "vl2_5", "qwen25", "WEIGHTS", "processor"),
        ("Qwen3VL", "vl3", "qwen3", "weights", "processor3"),
    ):
        kind, text = ENCODERS[name]
        yield Architecture(
            name=f"{name}ForConditionalGeneration",
            aliases=() if name == "Qwen2_5_VL" else (text,),
            config=f"tramontane_arch_qwen.{module}:{name}Config",
            model=f"tramontane_arch_qwen.{module}:{name}",
            weights=f"tramontane_arch_qwen.{module}:{weights}",
            metadata="tramontane_arch_qwen.vl_gguf:fields",
            media=f"tramontane_arch_qwen.vl_images:{media}",
            encoders={kind: (text,)},
            encoder=f"tramontane_arch_qwen.vl_gguf:{gguf}_encoder",
            example={
                **TINY,
                "head_dim": 8,
                **SECTIONS,
                "vision_config": {**VISION, **VISIONS[name]},
            },
        )
    yield Architecture(
        name="Qwen2AudioForConditionalGeneration",
        config="tramontane_arch_qwen.audio:Qwen2AudioConfig",
        model="tramontane_arch_qwen.audio:Qwen2Audio",
        weights="tramontane_arch_qwen.audio:WEIGHTS",
        media="tramontane_arch_qwen.audio:Qwen2AudioSounds",
        example=TINY | {"tie_word_embeddings": False, "audio_config": HEARING},
    )
    yield Architecture(
        name="Qwen2MoeForCausalLM",
        aliases=("qwen2moe",),
        config="tramontane_arch_qwen.experts:Qwen2MoeConfig",
        model="tramontane_arch_qwen.experts:Qwen2Moe",
        weights="tramontane_arch_qwen.experts:WEIGHTS",
        example=SPARSE | {"shared_expert_intermediate_size": 40},
    )
    yield Architecture(
        name="Qwen3MoeForCausalLM",
        aliases=("qwen3moe",),
        config="tramontane_arch_qwen.experts:Qwen3MoeConfig",
        model="tramontane_arch_qwen.experts:Qwen3Moe",
        weights="tramontane_arch_qwen.experts:WEIGHTS",
        example=SPARSE | {"head_dim": 16},
    )
    yield Architecture(
        name="Qwen3NextForCausalLM",
        aliases=("qwen3next",),
        config="tramontane_arch_qwen.hybrid:NextConfig",
        model="tramontane_arch_qwen.hybrid:Qwen3Next",
        weights="tramontane_arch_qwen.hybrid_weights:WEIGHTS",
        next_token="tramontane_arch_qwen.hybrid_head:next_token",
        metadata="tramontane_arch_qwen.hybrid_weights:metadata",
        example=SPARSE | HYBRID | {"shared_expert_intermediate_size": 40},
    )
    yield Architecture(
        name="Qwen3_5ForCausalLM",
        aliases=("qwen35", "Qwen3_5ForConditionalGeneration"),
        config="tramontane_arch_qwen.hybrid:HybridConfig",
        model="tramontane_arch_qwen.hybrid:Qwen35",
        weights="tramontane_arch_qwen.hybrid_weights:WEIGHTS",
        next_token="tramontane_arch_qwen.hybrid_head:next_token",
        metadata="tramontane_arch_qwen.hybrid_weights:metadata",
        example=TINY | HYBRID,
    )
    yield Architecture(
        name="Qwen3_5MoeForCausalLM",
        aliases=("qwen35moe", "Qwen3_5MoeForConditionalGeneration"),
        config="tramontane_arch_qwen.hybrid:Qwen35MoeConfig",
        model="tramontane_arch_qwen.hybrid:Qwen35Moe",
        weights="tramontane_arch_qwen.hybrid_weights:WEIGHTS",
        next_token="tramontane_arch_qwen.hybrid_head:next_token",
        metadata="tramontane_arch_qwen.hybrid_weights:metadata",
        example=SPARSE | HYBRID | {"shared_expert_intermediate_size": 40},
    )
