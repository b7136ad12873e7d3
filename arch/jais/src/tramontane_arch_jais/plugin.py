"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "n_embd": 32,
    "n_inner": 48,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "mup_embeddings_scale": 9.0,
    "mup_output_alpha": 2.0,
    "mup_width_scale": 0.25,
    "scale_qk_dot_by_d": True,
}
TINY_2 = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="JAISLMHeadModel",
        aliases=("jais",),
        config="tramontane_arch_jais.model:JaisConfig",
        model="tramontane_arch_jais.model:Jais",
        weights="tramontane_arch_jais.model:WEIGHTS",
        metadata="tramontane_arch_jais.model:metadata",
        example=TINY,
    )
    yield Architecture(
        name="Jais2ForCausalLM",
        aliases=("jais2",),
        config="tramontane_arch_jais.second:Jais2Config",
        model="tramontane_arch_jais.second:Jais2",
        example=TINY_2,
    )
