"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attn_layer_period": 3,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "mamba_d_state": 8,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="JambaForCausalLM",
        aliases=("jamba",),
        config="tramontane_arch_jamba.model:JambaConfig",
        model="tramontane_arch_jamba.model:Jamba",
        weights="tramontane_arch_jamba.model:WEIGHTS",
        metadata="tramontane_arch_jamba.model:metadata",
        example=TINY,
    )
