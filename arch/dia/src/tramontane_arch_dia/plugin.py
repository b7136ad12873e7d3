"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "encoder_config": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 8,
    },
    "decoder_config": {
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "cross_num_attention_heads": 4,
        "cross_num_key_value_heads": 4,
        "cross_head_dim": 8,
        "cross_hidden_size": 32,
    },
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="DiaForConditionalGeneration",
        config="tramontane_arch_dia.config:DiaConfig",
        model="tramontane_arch_dia.model:Dia",
        weights="tramontane_arch_dia.model:WEIGHTS",
        task="speech",
        tasks={"speech": "tramontane_arch_dia.speech:DiaSpeech"},
        example=TINY,
    )
