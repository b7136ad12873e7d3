"""llama.cpp from a file to the first token; run by `start.py` in an environment that has it."""

from __future__ import annotations

import ctypes
import sys

import llama_cpp

SILENT = llama_cpp.llama_log_callback(lambda level, text, data: None)


def main(path: str, threads: int, context: int, prompt: bytes) -> None:
    llama_cpp.llama_log_set(SILENT, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        path.encode(), llama_cpp.llama_model_default_params()
    )
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = context
    settings.n_threads = settings.n_threads_batch = threads
    runs = llama_cpp.llama_init_from_model(model, settings)
    tokens = (llama_cpp.llama_token * 64)()
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    count = llama_cpp.llama_tokenize(vocabulary, prompt, len(prompt), tokens, 64, True, True)
    if llama_cpp.llama_decode(runs, llama_cpp.llama_batch_get_one(tokens, count)) != 0:
        sys.exit("llama_decode failed")
    llama_cpp.llama_synchronize(runs)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode())
