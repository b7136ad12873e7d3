"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "scale_emb": 12,
    "scale_depth": 1.4,
    "dim_model_base": 16,
    "tie_word_embeddings": False,
}
LATENT = {
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
}


SEEING = {
    "hidden_size": 128,
    "num_key_value_heads": 2,
    "version": 2.6,
    "query_num": 4,
    "drop_vision_last_layer": False,
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
    },
}

HEARING = {
    "audio_config": {
        "d_model": 16,
        "encoder_ffn_dim": 24,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "num_mel_bins": 20,
        "max_source_positions": 100,
    },
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="MiniCPMForCausalLM",
        aliases=("minicpm",),
        config="tramontane_arch_minicpm.model:MiniCpmConfig",
        model="tramontane_arch_minicpm.model:MiniCpm",
        weights="tramontane_arch_minicpm.model:WEIGHTS",
        metadata="tramontane_arch_minicpm.model:metadata",
        example=TINY,
    )
    yield Architecture(
        name="MiniCPM3ForCausalLM",
        aliases=("minicpm3",),
        config="tramontane_arch_minicpm.latent:MiniCpm3Config",
        model="tramontane_arch_minicpm.latent:MiniCpm3",
        weights="tramontane_arch_minicpm.latent:WEIGHTS",
        example=TINY | LATENT,
    )
    yield Architecture(
        name="MiniCPMV",
        config="tramontane_arch_minicpm.vision:MiniCpmVisionConfig",
        model="tramontane_arch_minicpm.vision:MiniCpmVision",
        weights="tramontane_arch_minicpm.vision:weights",
        media="tramontane_arch_minicpm.slices:Slices",
        example=TINY | SEEING,
    )
    yield Architecture(
        name="MiniCPMO",
        config="tramontane_arch_minicpm.hearing:MiniCpmOmniConfig",
        model="tramontane_arch_minicpm.hearing:MiniCpmOmni",
        weights="tramontane_arch_minicpm.vision:weights",
        media="tramontane_arch_minicpm.hearing:OmniSlices",
        example=TINY | SEEING | HEARING,
    )
