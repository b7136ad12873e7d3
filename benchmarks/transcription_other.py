"""faster-whisper on the sound and model that `transcription.py` has made; run in an environment
that has it. Prints seconds."""

from __future__ import annotations

import sys
import time

import numpy as np
from faster_whisper import WhisperModel

END = 50_257


def main(folder: str, sound: str, threads: int, tokens: int, rounds: int) -> None:
    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)
    samples = np.load(sound)
    # with the prompt's four tokens it is halved: this many less one are written
    for _ in range(rounds):
        sys.stdin.readline()  # it is its turn
        started = time.perf_counter()
        segments, _ = model.transcribe(
            samples, language="en", beam_size=1, best_of=1, temperature=0.0,
            without_timestamps=True, condition_on_previous_text=False,
            max_new_tokens=2 * tokens - 2,
            compression_ratio_threshold=None, log_prob_threshold=None, no_speech_threshold=None,
            suppress_tokens=[END], suppress_blank=False,
        )  # fmt: skip
        count = sum(len(each.tokens) for each in segments)
        print(time.perf_counter() - started, count, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
