"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "d_model": 32,
    "ffn_dim": 48,
    "num_layers": 2,
    "attention_heads": 4,
    "max_position_embeddings": 64,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="XGLMForCausalLM",
        config="tramontane_arch_xglm.model:XglmConfig",
        model="tramontane_arch_xglm.model:Xglm",
        weights="tramontane_arch_xglm.model:WEIGHTS",
        example=TINY,
    )
