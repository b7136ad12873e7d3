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
    "rotary_dim": 4,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="CodeGenForCausalLM",
        config="tramontane_arch_codegen.model:CodeGenConfig",
        model="tramontane_arch_codegen.model:CodeGen",
        weights="tramontane_arch_codegen.model:WEIGHTS",
        example=TINY,
    )
