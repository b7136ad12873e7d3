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
}
CHUNKS = {
    "head_dim": 8,
    "num_hidden_layers": 4,
    "intermediate_size_mlp": 40,
    "num_local_experts": 4,
    "interleave_moe_layer_step": 2,
    "attention_chunk_size": 5,
    "floor_scale": 4,
}
GROWING = {"head_dim": 8, "llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 4}
PIXTRAL = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 7,
}

UNFOLDED = {
    "hidden_size": 16,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 336,
    "patch_size": 84,
    "projector_input_dim": 24,
    "projector_output_dim": 24,
    "vision_output_dim": 24,
}
HEARING = {
    "hidden_size": 16,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_mel_bins": 8,
    "max_source_positions": 16,
}
MLLAMA = {
    "num_hidden_layers": 3,
    "cross_attention_layers": [1],
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
        "vision_output_dim": 32,
        "intermediate_layers_indices": [0],
    },
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="LlamaForCausalLM",
        aliases=("llama", "LLaMAForCausalLM"),
        config="tramontane_arch_llama.model:LlamaConfig",
        model="tramontane_arch_llama.model:Llama",
        weights="tramontane_arch_llama.model:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="MistralForCausalLM",
        config="tramontane_arch_llama.model:MistralConfig",
        model="tramontane_arch_llama.model:Mistral",
        example=TINY | {"sliding_window": 8},
    )
    yield Architecture(
        name="MixtralForCausalLM",
        aliases=("mixtral",),
        config="tramontane_arch_llama.model:MixtralConfig",
        model="tramontane_arch_llama.model:Mixtral",
        weights="tramontane_arch_llama.model:MIXTRAL_WEIGHTS",
        example=TINY | {"num_local_experts": 4, "num_experts_per_tok": 2},
    )
    yield Architecture(
        name="Llama4ForCausalLM",
        aliases=("llama4",),
        config="tramontane_arch_llama.llama4_config:Llama4Config",
        model="tramontane_arch_llama.llama4:Llama4",
        weights="tramontane_arch_llama.llama4:WEIGHTS",
        metadata="tramontane_arch_llama.llama4_config:fields",
        example=TINY | CHUNKS,
    )
    yield Architecture(
        name="Llama4ForConditionalGeneration",
        config="tramontane_arch_llama.llama4_vision:Llama4VisionConfig",
        model="tramontane_arch_llama.llama4_vision:Llama4Vision",
        weights="tramontane_arch_llama.llama4_vision:weights",
        media="tramontane_arch_llama.llama4_images:processor",
        example=TINY | CHUNKS | {"vision_config": UNFOLDED},
    )
    yield Architecture(
        name="Ministral3ForCausalLM",
        aliases=("mistral3",),
        config="tramontane_arch_llama.ministral:Ministral3Config",
        model="tramontane_arch_llama.ministral:Ministral3",
        weights="tramontane_arch_llama.ministral:WEIGHTS",
        metadata={"mistral3.attention.temperature_scale": "llama_4_scaling_beta"},
        example=TINY | GROWING,
    )
    yield Architecture(
        name="Mistral3ForConditionalGeneration",
        config="tramontane_arch_llama.mistral3:Mistral3Config",
        model="tramontane_arch_llama.mistral3:Mistral3",
        weights="tramontane_arch_llama.mistral3:weights",
        media="tramontane_arch_llama.mistral3_images:processor",
        metadata={"mistral3.attention.temperature_scale": "llama_4_scaling_beta"},
        encoders={"pixtral": ("mistral3", "llama")},
        encoder="tramontane_arch_llama.mistral3_gguf:encoder",
        example=TINY | GROWING | {"vision_config": PIXTRAL},
    )
    yield Architecture(
        name="VoxtralForConditionalGeneration",
        config="tramontane_arch_llama.voxtral:VoxtralConfig",
        model="tramontane_arch_llama.voxtral:Voxtral",
        weights="tramontane_arch_llama.voxtral:WEIGHTS",
        media="tramontane_arch_llama.voxtral:VoxtralSounds",
        tasks={"transcribe": "tramontane_arch_llama.voxtral_transcriber:VoxtralTranscriber"},
        example=TINY | {"head_dim": 8, "audio_config": HEARING},
    )
    yield Architecture(
        name="MllamaForConditionalGeneration",
        config="tramontane_arch_llama.mllama_config:MllamaConfig",
        model="tramontane_arch_llama.mllama:Mllama",
        weights="tramontane_arch_llama.mllama:WEIGHTS",
        media="tramontane_arch_llama.mllama_images:MllamaImages",
        example=TINY | MLLAMA,
    )
