"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "layers_block_type": ["hybrid", "mamba", "hybrid"],
    "n_mamba_heads": 4,
    "mamba_d_state": 16,
    "num_mem_blocks": 1,
    "use_shared_attention_adapter": True,
    "adapter_rank": 6,
    "use_mem_rope": True,
    "time_step_min": 1e-30,  # a limit of transformers' own, see config.py
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="Zamba2ForCausalLM",
        config="tramontane_arch_zamba2.config:Zamba2Config",
        model="tramontane_arch_zamba2.model:Zamba2",
        weights="tramontane_arch_zamba2.weights:weights",
        example=TINY,
    )
