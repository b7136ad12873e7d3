"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
}

WINDOWS = {"sliding_window": 8, "sliding_window_pattern": 2}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
}
SHARED = {
    "num_hidden_layers": 4,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 2,
    "global_head_dim": 24,
}
BY_TOKEN = {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 64}

SOUNDS = {
    "audio_soft_tokens_per_image": 9,
    "eoa_token_id": 60,
    "audio_config": {
        "vocab_size": 4,
        "vocab_offset": 60,
        "hidden_size": 16,
        "input_feat_size": 16,
        "conf_num_attention_heads": 2,
        "conf_num_hidden_layers": 2,
        "sscp_conv_channel_size": [4, 2],
    },
}
SIGHT = {
    "vision_soft_tokens_per_image": 4,
    "eoi_token_id": 56,
    "vision_config": {
        "vocab_size": 4,
        "vocab_offset": 56,
        "hidden_size": 24,
        "image_size": 64,
        "stem_channels": 4,
        "stage_channels": [6, 8, 10, 12],
        "edges": 2,
        "inverted": [2, 2],
        "attentions": [1, 1],
        "heads": [2, 3],
        "head_dims": [4, 6],
    },
}
SPARSE = {"activation_sparsity_pattern": [0.95, 0.5, 0.0, 0.0], "laurel_rank": 6}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="GemmaForCausalLM",
        aliases=("gemma",),
        config="tramontane_arch_gemma.model:GemmaConfig",
        model="tramontane_arch_gemma.model:Gemma",
        weights="tramontane_arch_gemma.model:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="Gemma2ForCausalLM",
        aliases=("gemma2",),
        config="tramontane_arch_gemma.model:Gemma2Config",
        model="tramontane_arch_gemma.model:Gemma2",
        weights="tramontane_arch_gemma.model:SANDWICH_WEIGHTS",
        example=TINY | {"sliding_window": 8, "query_pre_attn_scalar": 12},
    )
    yield Architecture(
        name="Gemma3ForCausalLM",
        aliases=("gemma3",),
        config="tramontane_arch_gemma.gemma3:Gemma3Config",
        model="tramontane_arch_gemma.gemma3:Gemma3",
        weights="tramontane_arch_gemma.model:SANDWICH_WEIGHTS",
        example=TINY | WINDOWS,
    )
    yield Architecture(
        name="Gemma3ForConditionalGeneration",
        config="tramontane_arch_gemma.gemma3_vision:Gemma3VisionConfig",
        model="tramontane_arch_gemma.gemma3_vision:Gemma3Vision",
        weights="tramontane_arch_gemma.gemma3_vision:WEIGHTS",
        media="tramontane_arch_gemma.gemma3_vision:Gemma3Processor",
        encoders={"gemma3": ("gemma3",)},
        encoder="tramontane_arch_gemma.gemma3_vision:encoder",
        example=TINY | WINDOWS | {"vision_config": VISION, "mm_tokens_per_image": 4},
    )
    yield Architecture(
        name="Gemma3nForCausalLM",
        aliases=("gemma3n",),
        config="tramontane_arch_gemma.gemma3n_config:Gemma3nConfig",
        model="tramontane_arch_gemma.gemma3n:Gemma3n",
        weights="tramontane_arch_gemma.gemma3n:weights",
        metadata="tramontane_arch_gemma.gemma3n_config:fields",
        example=TINY | SHARED | BY_TOKEN | SPARSE,
    )
    yield Architecture(
        name="Gemma3nForConditionalGeneration",
        config="tramontane_arch_gemma.gemma3n_media:Gemma3nMediaConfig",
        model="tramontane_arch_gemma.gemma3n_media:Gemma3nMedia",
        weights="tramontane_arch_gemma.gemma3n_media:weights",
        media="tramontane_arch_gemma.gemma3n_media:processor",
        example=TINY | SHARED | BY_TOKEN | SPARSE | SIGHT | SOUNDS,
    )
    for name, more in (("Gemma4", BY_TOKEN), ("Gemma4Unified", {})):
        yield Architecture(
            name=f"{name}ForCausalLM",
            aliases=(f"{name}ForConditionalGeneration", *(["gemma4"] if name == "Gemma4" else [])),
            config=f"tramontane_arch_gemma.gemma4_config:{name}Config",
            model="tramontane_arch_gemma.gemma4:Gemma4",
            weights="tramontane_arch_gemma.gemma4_weights:weights",
            metadata="tramontane_arch_gemma.gemma4_config:fields",
            example=TINY | SHARED | more,
        )
    yield Architecture(
        name="Gemma3TextModel",
        task="embed",
        config="tramontane_arch_gemma.embedding:EmbeddingConfig",
        model="tramontane_arch_gemma.embedding:EmbeddingGemma",
        weights="tramontane_arch_gemma.embedding:WEIGHTS",
        example=TINY | WINDOWS | {"use_bidirectional_attention": True},
    )
