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
    "moe_intermediate_size": 24,
    "n_routed_experts": 4,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="Dots1ForCausalLM",
        aliases=("dots1",),
        config="tramontane_arch_dots.model:Dots1Config",
        model="tramontane_arch_dots.model:Dots1",
        weights="tramontane_arch_dots.model:WEIGHTS",
        example=TINY,
    )
