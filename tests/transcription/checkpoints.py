"""Tiny random checkpoints of Whisper, written by transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers

Samples = npt.NDArray[np.float32]
LANGUAGES = ("en", "de", "zh")
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
SECONDS, BANDS = 2, 20
"""Of a window; of a spectrogram."""
STAMPS = 50 * SECONDS + 1
RATE = 16_000


def sound(seconds: float, seed: int = 0) -> Samples:
    """A rising tone that comes and goes, with noise."""
    t = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.02, len(t))
    wave = 0.4 * np.sin(2 * np.pi * (220 + 90 * seed + 300 * t) * t) * np.sin(3 * t + seed)
    return np.asarray(wave + noise, np.float32)


def write_tokenizer(folder: Path, *, stamps: bool = True) -> dict[str, int]:
    """Bytes, then special tokens as Whisper has them, then timestamps, which older checkpoints
    leave out."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    inner.add_special_tokens(list(SPECIAL))
    if stamps:
        inner.add_tokens([f"<|{place * 0.02:.2f}|>" for place in range(STAMPS)])
    inner.save(str(folder / "tokenizer.json"))
    named = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    return {token: inner.token_to_id(token) for token in SPECIAL}


def write_whisper(
    folder: Path, seed: int = 7, *, multilingual: bool = True, plain: bool = False, **more: Any
) -> Any:
    """Write a checkpoint, with windows of two seconds; returns transformers' model of it. plain: it
    writes printable ASCII alone, so that no character is in two segments."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = write_tokenizer(folder)
    eos = ids["<|endoftext|>"]
    told: dict[str, Any] = {
        "vocab_size": 256 + len(SPECIAL) + STAMPS, "num_mel_bins": BANDS, "d_model": 32,
        "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48,
        "decoder_layers": 3, "decoder_attention_heads": 2, "decoder_ffn_dim": 40,
        "max_source_positions": SECONDS * 50,
        "max_target_positions": 48, "pad_token_id": eos, "bos_token_id": eos, "eos_token_id": eos,
        "decoder_start_token_id": ids["<|startoftranscript|>"],
    } | more  # fmt: skip
    torch.manual_seed(seed)
    model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**told)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 0
            spread = 0.7 / fan**0.5 if fan else 0.1
            start = 0.0 if fan or "bias" in name else float(parameter.mean().round())
            parameter.copy_(start + spread * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    generation = {
        "max_length": told["max_target_positions"], "eos_token_id": eos, "pad_token_id": eos,
        "bos_token_id": eos, "decoder_start_token_id": told["decoder_start_token_id"],
        "no_timestamps_token_id": ids["<|notimestamps|>"], "is_multilingual": multilingual,
        "prev_sot_token_id": ids["<|startofprev|>"], "max_initial_timestamp_index": 20,
        "suppress_tokens": [3, 17, ids["<|startofprev|>"], ids["<|nospeech|>"]],
        "begin_suppress_tokens": [32, eos], "return_timestamps": False,
        "alignment_heads": [[0, 0]],
    }  # fmt: skip
    if plain:
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        generation["suppress_tokens"] += [i for i, each in enumerate(letters) if ord(each) > 126]
    if multilingual:
        generation["lang_to_id"] = {f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES}
        generation["task_to_id"] = {
            name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")
        }
    (folder / "generation_config.json").write_text(json.dumps(generation))
    model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor_settings()))
    return model


def extractor_settings() -> dict[str, Any]:
    """What transformers' extractor is made with."""
    return {"feature_size": BANDS, "chunk_length": SECONDS}
