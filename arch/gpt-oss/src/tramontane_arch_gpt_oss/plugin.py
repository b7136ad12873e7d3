"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="GptOssForCausalLM",
        aliases=("gpt-oss",),
        config="tramontane_arch_gpt_oss.config:GptOssConfig",
        model="tramontane_arch_gpt_oss.model:GptOss",
        weights="tramontane_arch_gpt_oss.weights:WEIGHTS",
        metadata="tramontane_arch_gpt_oss.config:fields",
        example={
            "vocab_size": 64,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 8,
        },
    )
