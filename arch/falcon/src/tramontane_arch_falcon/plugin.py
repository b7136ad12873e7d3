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
    yield Architecture(
        name="FalconH1ForCausalLM",
        aliases=("falcon-h1",),
        config="tramontane_arch_falcon.hybrid:FalconH1Config",
        model="tramontane_arch_falcon.hybrid:FalconH1",
        weights="tramontane_arch_falcon.hybrid:WEIGHTS",
        metadata="tramontane_arch_falcon.hybrid:metadata",
        example=TINY
        | {
            "intermediate_size": 48,
            "num_key_value_heads": 2,
            "mamba_d_ssm": 48,
            "mamba_n_heads": 4,
            "mamba_d_state": 8,
            "mamba_norm_before_gate": False,
            "mamba_rms_norm": True,
            "mlp_multipliers": [0.9, 1.1],
            "ssm_multipliers": [0.9, 1.1, 0.8, 1.2, 0.7],
        },
    )
