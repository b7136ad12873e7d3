"""A family that GGUF's own tables do not know."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": (4, 2), "decay": 0.5,
    "gains": (1.0, 2.0),
}  # fmt: skip


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="EmaForCausalLM",
        aliases=("ema",),
        config="acme_ema.model:EmaConfig",
        model="acme_ema.model:Ema",
        weights="acme_ema.model:WEIGHTS",
        metadata={"ema.decay": "decay", "ema.layer_gains": "gains"},
        example=TINY,
    )
