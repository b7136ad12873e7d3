"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 48,
    "num_mel_bins": 8,
    "max_source_positions": 64,
    "max_target_positions": 64,
    "tie_word_embeddings": True,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="WhisperForConditionalGeneration",
        config="tramontane_arch_whisper.config:WhisperConfig",
        model="tramontane_arch_whisper.model:Whisper",
        weights="tramontane_arch_whisper.model:WEIGHTS",
        media="tramontane_arch_whisper.sounds:WhisperSounds",
        task="transcribe",
        tasks={"transcribe": "tramontane_arch_whisper.transcriber:WhisperTranscriber"},
        example=TINY,
    )
