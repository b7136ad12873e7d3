"""llama.cpp's speed, by its low-level Python API; run by `table.py` in an environment that has it.

Prints a JSON object: prefill and decode in tokens a second (medians), seconds from the file to the
end of a first step, as Tramontane counts them, and peak memory.
"""

from __future__ import annotations

import ctypes
import json
import random
import resource
import statistics
import sys
import time
from typing import Any

import llama_cpp

STEP = 512


def main(
    path: str, threads: int, prompt: int, gen: int, depth: int, parallel: int, reps: int
) -> None:
    llama_cpp.llama_log_set(SILENT, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    started = time.perf_counter()
    model = llama_cpp.llama_model_load_from_file(
        path.encode(), llama_cpp.llama_model_default_params()
    )
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = (depth + max(prompt, gen) + 64) * parallel
    settings.n_batch = settings.n_ubatch = STEP
    settings.n_threads = settings.n_threads_batch = threads
    settings.n_seq_max = parallel
    context = llama_cpp.llama_init_from_model(model, settings)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    run = _Run(context, vocabulary)
    run.read(0, 1)  # only now the file's pages are there, which are mapped
    llama_cpp.llama_synchronize(context)
    load = time.perf_counter() - started
    prefill, decode = [], []
    for _ in range(reps + 1):  # the first touches memory
        if prompt:
            run.clear()
            run.read(0, depth)
            prefill.append(prompt / run.timed(lambda: run.read(0, prompt)))
        if gen:
            run.clear()
            for sequence in range(parallel):
                run.read(sequence, depth)
            decode.append(gen * parallel / run.timed(lambda: run.generate(gen, parallel)))
    told = {
        "prefill": statistics.median(prefill[1:]) if prompt else None,
        "decode": statistics.median(decode[1:]) if gen else None,
        "load": load,
        "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "version": f"llama-cpp-python {llama_cpp.__version__}",
    }
    print(json.dumps(told))


class _Run:
    def __init__(self, context: Any, vocabulary: int) -> None:
        self._context, self._vocabulary = context, vocabulary
        self._batch = llama_cpp.llama_batch_init(STEP, 0, 1)
        self._lengths: dict[int, int] = {}

    def clear(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        self._lengths = {}

    def read(self, sequence: int, count: int) -> None:
        """Random tokens behind what a sequence has, with the logits of each step's last."""
        for start in range(0, count, STEP):
            self._step([sequence] * min(STEP, count - start), last_only=True)

    def generate(self, count: int, parallel: int) -> None:
        for _ in range(count):
            self._step(list(range(parallel)), last_only=False)

    def timed(self, work: Any) -> float:
        llama_cpp.llama_synchronize(self._context)
        started = time.perf_counter()
        work()
        llama_cpp.llama_synchronize(self._context)
        return time.perf_counter() - started

    def _step(self, sequences: list[int], *, last_only: bool) -> None:
        batch = self._batch
        batch.n_tokens = len(sequences)
        for i, sequence in enumerate(sequences):
            place = self._lengths.get(sequence, 0)
            self._lengths[sequence] = place + 1
            batch.token[i], batch.pos[i] = random.randrange(self._vocabulary), place
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = not last_only or i == len(sequences) - 1
        if llama_cpp.llama_decode(self._context, batch) != 0:
            sys.exit("llama_decode failed")


SILENT = llama_cpp.llama_log_callback(lambda level, text, data: None)

if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
