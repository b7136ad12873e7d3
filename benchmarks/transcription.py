"""Seconds to transcribe a minute of sound, with random weights in the shape of Whisper-small,
against faster-whisper in int8.

    python benchmarks/transcription.py --other ENVIRONMENT/bin

--other: the `bin` folder of an environment with faster-whisper, ctranslate2, and what its converter
needs (transformers, torch). Both write as many tokens of each window, without timestamps, in turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from tokenizers import models
from tramontane import Transcriber
from tramontane_arch_whisper.languages import LANGUAGES

CODES = [code for code in LANGUAGES if code != "yue"]
SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in CODES),
    "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>",
    "<|notimestamps|>",
]  # fmt: skip
WORDS, STAMPS = 50_257, 1501
SIZES = {"small": (768, 12, 3072), "tiny": (384, 6, 1536)}


def write(folder: Path, size: str, layers: int) -> None:
    """A random checkpoint in transformers' form."""
    import transformers

    width, heads, wide = SIZES[size]
    first = {token: WORDS + place for place, token in enumerate(SPECIAL)}
    end = first["<|endoftext|>"]
    config = transformers.WhisperConfig(
        vocab_size=WORDS + len(SPECIAL) + STAMPS, d_model=width, encoder_layers=layers,
        decoder_layers=layers, encoder_attention_heads=heads, decoder_attention_heads=heads,
        encoder_ffn_dim=wide, decoder_ffn_dim=wide, num_mel_bins=80, pad_token_id=end,
        bos_token_id=end, eos_token_id=end, decoder_start_token_id=end + 1,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.WhisperForConditionalGeneration(config).save_pretrained(folder)
    told = {
        "decoder_start_token_id": end + 1, "eos_token_id": end, "pad_token_id": end,
        "bos_token_id": end, "max_length": 448, "is_multilingual": True, "suppress_tokens": [end],
        "begin_suppress_tokens": [], "no_timestamps_token_id": first["<|notimestamps|>"],
        "prev_sot_token_id": first["<|startofprev|>"], "alignment_heads": [[0, 0]],
        "lang_to_id": {f"<|{code}|>": first[f"<|{code}|>"] for code in CODES},
        "task_to_id": {each: first[f"<|{each}|>"] for each in ("transcribe", "translate")},
    }  # fmt: skip
    (folder / "generation_config.json").write_text(json.dumps(told))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
    inner = tokenizers.Tokenizer(models.BPE({f"w{place}": place for place in range(WORDS)}, []))
    inner.add_special_tokens(SPECIAL)
    inner.add_tokens([f"<|{place * 0.02:.2f}|>" for place in range(STAMPS)])
    inner.save(str(folder / "tokenizer.json"))
    named = {"eos_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=Path, help="bin folder of an environment; none: not run")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tokens", type=int, default=100, help="of a window")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--isq", default="8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), options)


def run(folder: Path, options: argparse.Namespace) -> int:
    write(folder / "model", options.size, options.layers)
    samples = np.random.default_rng(0).normal(0, 0.1, int(16_000 * options.seconds))
    np.save(folder / "sound.npy", samples.astype(np.float32))
    other: Any = None
    if options.other is not None:
        command = [
            options.other / "ct2-transformers-converter", "--model", folder / "model",
            "--output_dir", folder / "ct2", "--quantization", "int8",
            "--copy_files", "tokenizer.json", "preprocessor_config.json",
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=sys.stderr)
        numbers = (options.threads, options.tokens, options.rounds)
        script = Path(__file__).with_name("transcription_other.py")
        line = [options.other / "python", script, folder / "ct2", folder / "sound.npy", *numbers]
        other = subprocess.Popen(
            list(map(str, line)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    isq = None if options.isq == "none" else options.isq
    with Transcriber(folder / "model", isq=isq, threads=options.threads) as model:
        given = (np.load(folder / "sound.npy"), 16_000)
        best = [float("inf")] * 2
        for number in range(options.rounds):
            started = time.perf_counter()
            found = model.transcribe(
                given, language="en", timestamps="none", fallback=(), max_tokens=options.tokens,
                logprob_threshold=None, no_speech_threshold=None,
            )  # fmt: skip
            seconds = time.perf_counter() - started
            count = sum(len(each.tokens) for each in found.segments)
            print(f"round {number + 1}: tramontane {seconds:.2f} s, {count} tokens", flush=True)
            best[0] = min(best[0], seconds)
            if other is not None:
                other.stdin.write("\n")
                other.stdin.flush()
                told, tokens = other.stdout.readline().split()
                print(f"round {number + 1}: faster-whisper {float(told):.2f} s, {tokens} tokens")
                best[1] = min(best[1], float(told))
    if other is not None:
        other.stdin.close()
        other.wait()
        times = best[1] / best[0]
        print(f"best of {options.rounds}: faster-whisper takes {times:.2f} times as long")
    return 0


if __name__ == "__main__":
    sys.exit(main())
