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
