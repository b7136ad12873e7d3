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


@hookimpl
def architectures() -> Iterator[Architecture]:
    for name in ("Idefics3", "SmolVLM"):
        yield Architecture(
            name=f"{name}ForConditionalGeneration",
            config="tramontane_arch_idefics.model:Idefics3Config",
            model="tramontane_arch_idefics.model:Idefics3",
            weights="tramontane_arch_idefics.model:WEIGHTS",
            media="tramontane_arch_idefics.tiles:Tiles",
            encoders={"idefics3": ("llama",)},
            encoder="tramontane_arch_idefics.gguf:encoder",
            example=TINY,
        )
