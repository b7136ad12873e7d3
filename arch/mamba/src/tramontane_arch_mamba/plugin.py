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
