"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="PhiForCausalLM",
        aliases=("phi2",),
        config="tramontane_arch_phi.model:Phi2Config",
        model="tramontane_arch_phi.model:Phi2",
        weights="tramontane_arch_phi.model:PHI2_WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="Phi3ForCausalLM",
        aliases=("phi3",),
        config="tramontane_arch_phi.model:Phi3Config",
        model="tramontane_arch_phi.model:Phi3",
        weights="tramontane_arch_phi.model:PHI3_WEIGHTS",
        example=TINY | {"num_key_value_heads": 2},
    )
    yield Architecture(
        name="PhimoeForCausalLM",
        aliases=("PhiMoEForCausalLM", "phimoe"),
        config="tramontane_arch_phi.experts:PhiMoEConfig",
        model="tramontane_arch_phi.experts:PhiMoE",
        weights="tramontane_arch_phi.experts:WEIGHTS",
        example=TINY | {"num_key_value_heads": 2, "num_local_experts": 4},
    )
