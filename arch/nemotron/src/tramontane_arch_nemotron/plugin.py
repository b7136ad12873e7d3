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
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="NemotronForCausalLM",
        aliases=("nemotron",),
        config="tramontane_arch_nemotron.model:NemotronConfig",
        model="tramontane_arch_nemotron.model:Nemotron",
        weights="tramontane_arch_nemotron.model:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="NemotronHForCausalLM",
        aliases=("nemotron_h_moe", "nemotron_h"),  # llama.cpp has every tensor under the former
        config="tramontane_arch_nemotron.hybrid_config:NemotronHConfig",
        model="tramontane_arch_nemotron.hybrid:NemotronH",
        weights="tramontane_arch_nemotron.hybrid_files:weights",
        metadata="tramontane_arch_nemotron.hybrid_files:metadata",
        example=TINY
        | {
            "num_hidden_layers": 4,
            "layers_block_type": ["mamba", "moe", "attention", "mlp"],
            "head_dim": 8,
            "mamba_num_heads": 4,
            "mamba_head_dim": 16,
            "ssm_state_size": 16,
            "n_groups": 2,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "moe_shared_expert_intermediate_size": 40,
            "time_step_min": 1e-30,  # a limit of transformers' own, see hybrid_config.py
        },
    )
