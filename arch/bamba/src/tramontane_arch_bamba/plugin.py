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
    "attn_layer_indices": [1],
    "mamba_n_heads": 4,
    "mamba_d_state": 16,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="BambaForCausalLM",
        config="tramontane_arch_bamba.model:BambaConfig",
        model="tramontane_arch_bamba.model:Bamba",
        weights="tramontane_arch_bamba.model:WEIGHTS",
        example=TINY,
    )
