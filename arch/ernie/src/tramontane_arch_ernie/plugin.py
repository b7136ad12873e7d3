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


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="Ernie4_5ForCausalLM",
        aliases=("Ernie4_5_ForCausalLM", "ernie4_5"),
        config="tramontane_arch_ernie.model:ErnieConfig",
        model="tramontane_arch_ernie.model:Ernie",
        weights="tramontane_arch_ernie.model:WEIGHTS",
        example=TINY | {"head_dim": 12},
    )
    yield Architecture(
        name="Ernie4_5_MoeForCausalLM",
        aliases=("ernie4_5-moe",),
        config="tramontane_arch_ernie.model:ErnieMoeConfig",
        model="tramontane_arch_ernie.model:ErnieMoe",
        weights="tramontane_arch_ernie.model:MOE_WEIGHTS",
        example=TINY | {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 24},
    )
