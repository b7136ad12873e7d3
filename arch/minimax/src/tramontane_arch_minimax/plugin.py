"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "rotary_dim": 6,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="MiniMaxM2ForCausalLM",
        aliases=("minimax-m2",),
        config="tramontane_arch_minimax.model:MiniMaxM2Config",
        model="tramontane_arch_minimax.model:MiniMaxM2",
        weights="tramontane_arch_minimax.model:weights",
        example=TINY,
    )
    for name in ("MiniMaxForCausalLM", "MiniMaxText01ForCausalLM", "MiniMaxM1ForCausalLM"):
        yield Architecture(
            name=name,
            config="tramontane_arch_minimax.text01:MiniMaxConfig",
            model="tramontane_arch_minimax.text01:MiniMax",
            weights="tramontane_arch_minimax.text01:WEIGHTS",
            example={key: value for key, value in TINY.items() if key != "rotary_dim"}
            | {
                "layer_types": ["linear_attention", "full_attention"],
                "linear_attn_alpha_factor": 1.5,
                "mlp_beta_factor": 0.5,
            },
        )
