"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "ffn_dim": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="OPTForCausalLM",
        config="tramontane_arch_opt.model:OptConfig",
        model="tramontane_arch_opt.model:Opt",
        weights="tramontane_arch_opt.model:WEIGHTS",
        example=TINY,
    )
