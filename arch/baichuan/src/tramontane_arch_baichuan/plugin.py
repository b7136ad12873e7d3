"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="BaichuanForCausalLM",
        aliases=("BaiChuanForCausalLM", "baichuan"),
        config="tramontane_arch_baichuan.model:BaichuanConfig",
        model="tramontane_arch_baichuan.model:Baichuan",
        weights="tramontane_arch_baichuan.model:weights",
        metadata="tramontane_arch_baichuan.model:metadata",
        example=TINY,
    )
