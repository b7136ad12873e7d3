"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "head_dim": 8,
    "decay_low_rank_dim": 6,
    "a_low_rank_dim": 5,
    "v_low_rank_dim": 4,
    "gate_low_rank_dim": 7,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="RWKV7ForCausalLM",
        aliases=("Rwkv7ForCausalLM", "rwkv7"),
        config="tramontane_arch_rwkv.config:RwkvConfig",
        model="tramontane_arch_rwkv.model:Rwkv",
        weights="tramontane_arch_rwkv.weights:WEIGHTS",
        metadata="tramontane_arch_rwkv.weights:metadata",
        example=TINY,
    )
    yield Architecture(
        name="arwkv7",
        config="tramontane_arch_rwkv.config:ArwkvConfig",
        model="tramontane_arch_rwkv.model:Arwkv",
        weights="tramontane_arch_rwkv.weights:arwkv_weights",
        metadata="tramontane_arch_rwkv.weights:metadata",
        example=TINY | {"gate_low_rank_dim": 0, "group_norm": False},
    )
