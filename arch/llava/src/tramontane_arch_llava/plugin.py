"""What this distribution offers."""

from collections.abc import Iterator
from typing import Any

from tramontane.plugin import Architecture, hookimpl

TINY: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 7,
    },
}
ENCODERS = {"mlp": ("llama", "qwen2")}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="LlavaForConditionalGeneration",
        config="tramontane_arch_llava.config:LlavaConfig",
        model="tramontane_arch_llava.model:Llava",
        weights="tramontane_arch_llava.model:weights",
        media="tramontane_arch_llava.images:LlavaImages",
        encoders=ENCODERS,
        encoder="tramontane_arch_llava.gguf:encoder",
        example=TINY,
    )
    yield Architecture(
        name="LlavaNextForConditionalGeneration",
        config="tramontane_arch_llava.next_config:LlavaNextConfig",
        model="tramontane_arch_llava.next:LlavaNext",
        weights="tramontane_arch_llava.model:weights",
        media="tramontane_arch_llava.next:LlavaNextImages",
        encoders=ENCODERS,
        encoder="tramontane_arch_llava.gguf:next_encoder",
        example=TINY | {"image_grid_pinpoints": [[28, 56], [56, 28]]},
    )
    yield Architecture(
        name="LlavaNextVideoForConditionalGeneration",
        config="tramontane_arch_llava.next_video:LlavaNextVideoConfig",
        model="tramontane_arch_llava.next_video:LlavaNextVideo",
        weights="tramontane_arch_llava.model:weights",
        media="tramontane_arch_llava.next_video:LlavaNextVideoImages",
        example=TINY | {"image_grid_pinpoints": [[28, 56], [56, 28]]},
    )
    yield Architecture(
        name="LlavaOnevisionForConditionalGeneration",
        config="tramontane_arch_llava.onevision_config:OnevisionConfig",
        model="tramontane_arch_llava.onevision:Onevision",
        weights="tramontane_arch_llava.model:weights",
        media="tramontane_arch_llava.onevision:OnevisionImages",
        example=TINY | {"image_grid_pinpoints": [[28, 56], [56, 28]]},
    )
