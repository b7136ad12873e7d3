"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "max_seq_len": 64,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="MptForCausalLM",
        aliases=("MPTForCausalLM", "mpt"),
        config="tramontane_arch_mpt.model:MptConfig",
        model="tramontane_arch_mpt.model:Mpt",
        weights="tramontane_arch_mpt.model:WEIGHTS",
        example=TINY | {"attn_config": {"clip_qkv": 0.5}},
    )
