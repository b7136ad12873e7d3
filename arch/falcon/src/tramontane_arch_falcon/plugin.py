"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="FalconForCausalLM",
        aliases=("RWForCausalLM", "falcon"),
        config="tramontane_arch_falcon.model:FalconConfig",
        model="tramontane_arch_falcon.model:Falcon",
        weights="tramontane_arch_falcon.model:weights",
        example=TINY | {"new_decoder_architecture": True, "num_kv_heads": 2},
    )
