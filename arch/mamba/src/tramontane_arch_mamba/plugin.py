"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="MambaForCausalLM",
        aliases=("mamba",),
        config="tramontane_arch_mamba.model:MambaConfig",
        model="tramontane_arch_mamba.model:MambaLM",
        weights="tramontane_arch_mamba.model:WEIGHTS",
        metadata="tramontane_arch_mamba.model:metadata",
        example=TINY,
    )
    yield Architecture(
        name="FalconMambaForCausalLM",
        aliases=("falcon_mamba",),
        config="tramontane_arch_mamba.model:FalconMambaConfig",
        model="tramontane_arch_mamba.model:MambaLM",
        weights="tramontane_arch_mamba.model:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="Mamba2ForCausalLM",
        aliases=("mamba2",),
        config="tramontane_arch_mamba.mamba2:Mamba2LMConfig",
        model="tramontane_arch_mamba.mamba2:Mamba2LM",
        weights="tramontane_arch_mamba.mamba2:WEIGHTS",
        metadata="tramontane_arch_mamba.mamba2:metadata",
        example=TINY | {"num_heads": 4, "head_dim": 16, "n_groups": 2},
    )
