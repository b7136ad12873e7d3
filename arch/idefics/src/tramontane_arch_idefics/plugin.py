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
    "scale_factor": 2,
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 4,
    },
}


PERCEIVER = {
    "hidden_size": 32,
    "resampler_n_latents": 3,
    "resampler_depth": 2,
    "resampler_n_heads": 4,
    "resampler_head_dim": 8,
    "num_key_value_heads": 2,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    for name, media in (("Idefics3", "tiles:Tiles"), ("SmolVLM", "smolvlm:SmolTiles")):
        yield Architecture(
            name=f"{name}ForConditionalGeneration",
            config="tramontane_arch_idefics.model:Idefics3Config",
            model="tramontane_arch_idefics.model:Idefics3",
            weights="tramontane_arch_idefics.model:WEIGHTS",
            media=f"tramontane_arch_idefics.{media}",
            encoders={"idefics3": ("llama",)},
            encoder="tramontane_arch_idefics.gguf:encoder",
            example=TINY,
        )
    yield Architecture(
        name="Idefics2ForConditionalGeneration",
        config="tramontane_arch_idefics.idefics2:Idefics2Config",
        model="tramontane_arch_idefics.idefics2:Idefics2",
        weights="tramontane_arch_idefics.model:WEIGHTS",
        media="tramontane_arch_idefics.quarters:Quarters",
        example=TINY | {"perceiver_config": PERCEIVER},
    )
