"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="Starcoder2ForCausalLM",
        aliases=("starcoder2",),
        config="tramontane_arch_starcoder.model:Starcoder2Config",
        model="tramontane_arch_starcoder.model:Starcoder2",
        weights="tramontane_arch_starcoder.model:STARCODER2_WEIGHTS",
        example=TINY | {"num_key_value_heads": 2},
    )
    yield Architecture(
        name="GPTBigCodeForCausalLM",
        aliases=("starcoder",),
        config="tramontane_arch_starcoder.model:GPTBigCodeConfig",
        model="tramontane_arch_starcoder.model:GPTBigCode",
        weights="tramontane_arch_starcoder.model:BIGCODE_WEIGHTS",
        example=TINY | {"n_inner": 48},
    )
