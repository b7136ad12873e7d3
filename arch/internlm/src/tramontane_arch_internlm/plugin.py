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
    "bias": False,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="InternLMForCausalLM",
        config="tramontane_arch_internlm.model:InternLmConfig",
        model="tramontane_arch_internlm.model:InternLm",
        weights="tramontane_arch_internlm.model:WEIGHTS",
        example=TINY | {"num_key_value_heads": 4, "bias": True},
    )
    yield Architecture(
        name="InternLM2ForCausalLM",
        aliases=("internlm2",),
        config="tramontane_arch_internlm.model:InternLmConfig",
        model="tramontane_arch_internlm.model:InternLm",
        weights="tramontane_arch_internlm.model:WEIGHTS_2",
        example=TINY,
    )
    yield Architecture(
        name="InternLM3ForCausalLM",
        config="tramontane_arch_internlm.model:InternLm3Config",
        model="tramontane_arch_internlm.model:InternLm3",
        weights="tramontane_arch_internlm.model:WEIGHTS",
        example=TINY | {"head_dim": 16},
    )
