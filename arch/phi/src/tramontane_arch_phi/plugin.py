"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


SEEING = {
    "img_processor": {"image_dim_out": 16, "num_img_tokens": 1},
    "embd_layer": {
        "embedding_cls": "image",
        "hd_transform_order": "sub_glb",
        "projection_cls": "mlp",
        "use_hd_transform": True,
        "with_learnable_separator": True,
    },
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    },
}

HEARING = {
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 16,
        "crop_size": 16,
        "patch_size": 4,
    },
    "audio_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_blocks": 2,
        "num_attention_heads": 2,
        "ext_pw_out_channel": 16,
        "depthwise_separable_out_channel": 16,
        "nemo_conv_channels": 8,
    },
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="PhiForCausalLM",
        aliases=("phi2",),
        config="tramontane_arch_phi.model:Phi2Config",
        model="tramontane_arch_phi.model:Phi2",
        weights="tramontane_arch_phi.model:PHI2_WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="Phi3ForCausalLM",
        aliases=("phi3",),
        config="tramontane_arch_phi.model:Phi3Config",
        model="tramontane_arch_phi.model:Phi3",
        weights="tramontane_arch_phi.model:PHI3_WEIGHTS",
        example=TINY | {"num_key_value_heads": 2},
    )
    yield Architecture(
        name="Phi3VForCausalLM",
        config="tramontane_arch_phi.vision:Phi3VisionConfig",
        model="tramontane_arch_phi.vision:Phi3Vision",
        weights="tramontane_arch_phi.vision:weights",
        media="tramontane_arch_phi.squares:Squares",
        example=TINY | SEEING,
    )
    for name in ("Phi4MMForCausalLM", "Phi4MultimodalForCausalLM"):  # no container names either
        yield Architecture(
            name=name,
            config="tramontane_arch_phi.phi4_config:Phi4MultimodalConfig",
            model="tramontane_arch_phi.phi4_media:Phi4Multimodal",
            weights="tramontane_arch_phi.phi4_media:weights",
            media="tramontane_arch_phi.phi4_images:Phi4Images",
            adapters="tramontane_arch_phi.phi4_adapters:adapters",
            example=TINY | {"num_key_value_heads": 2} | HEARING,
        )
    yield Architecture(
        name="PhimoeForCausalLM",
        aliases=("PhiMoEForCausalLM", "phimoe"),
        config="tramontane_arch_phi.experts:PhiMoEConfig",
        model="tramontane_arch_phi.experts:PhiMoE",
        weights="tramontane_arch_phi.experts:WEIGHTS",
        example=TINY | {"num_key_value_heads": 2, "num_local_experts": 4},
    )
