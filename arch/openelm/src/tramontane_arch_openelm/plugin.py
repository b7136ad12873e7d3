"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "model_dim": 32,
    "head_dim": 8,
    "num_transformer_layers": 2,
    "num_query_heads": [4, 6],
    "num_kv_heads": [2, 3],
    "ffn_multipliers": [1.0, 2.0],
    "ffn_dim_divisor": 16,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="OpenELMForCausalLM",
        aliases=("openelm",),
        config="tramontane_arch_openelm.model:OpenElmConfig",
        model="tramontane_arch_openelm.model:OpenElm",
        weights="tramontane_arch_openelm.model:WEIGHTS",
        example=TINY,
    )
