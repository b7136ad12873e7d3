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
    "head_dim": 8,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="HunYuanDenseV1ForCausalLM",
        aliases=("hunyuan-dense",),
        config="tramontane_arch_hunyuan.model:HunYuanConfig",
        model="tramontane_arch_hunyuan.model:HunYuan",
        weights="tramontane_arch_hunyuan.model:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="HunYuanMoEV1ForCausalLM",
        aliases=("hunyuan-moe",),
        config="tramontane_arch_hunyuan.model:HunYuanMoEConfig",
        model="tramontane_arch_hunyuan.model:HunYuanMoE",
        weights="tramontane_arch_hunyuan.model:WEIGHTS",
        example=TINY | {"num_experts": 4, "moe_topk": 2},
    )
