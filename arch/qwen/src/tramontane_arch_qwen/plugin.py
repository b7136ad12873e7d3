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
    "tie_word_embeddings": True,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="Qwen2ForCausalLM",
        aliases=("qwen2",),
        config="tramontane_arch_qwen.model:Qwen2Config",
        model="tramontane_arch_qwen.model:Qwen2",
        example=TINY,
    )
    yield Architecture(
        name="Qwen3ForCausalLM",
        aliases=("qwen3",),
        config="tramontane_arch_qwen.model:Qwen3Config",
        model="tramontane_arch_qwen.model:Qwen3",
        example=TINY | {"head_dim": 16},
    )
