"""Write a random Qwen3-MoE-shaped model as GGUF files; run in an environment with llama-cpp-python.

    PYTHON benchmarks/mixture_file.py FOLDER          # FOLDER/moe-2b-Q4_0.gguf, -Q4_K_M, -Q8_0

128 experts, 8 of them for a token; 2.1 billion weights, 230 million of which a token meets. Speed
does not depend on what they are. Needs `gguf` and `numpy`, and 12 GB in FOLDER.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

LAYERS, HIDDEN, WIDE, EXPERTS, CHOSEN = 10, 1024, 512, 128, 8
HEADS, KV_HEADS, HEAD, VOCABULARY = 16, 4, 128, 49152
TYPES = ("Q4_0", "Q4_K_M", "Q8_0")


def main(folder: str) -> None:
    source = Path(folder) / "moe-2b-f16.gguf"
    write(source)
    for name in TYPES:
        settings = llama_cpp.llama_model_quantize_default_params()
        settings.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}")
        settings.nthread = os.cpu_count()
        made = str(source).replace("f16", name)
        arguments = (str(source).encode(), made.encode(), ctypes.byref(settings))
        if llama_cpp.llama_model_quantize(*arguments) != 0:
            raise SystemExit(f"cannot write {made}")
    source.unlink()


def write(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "qwen3moe", use_temp_file=True)
    writer.add_context_length(32768)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDE * CHOSEN)
    writer.add_expert_feed_forward_length(WIDE)
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(CHOSEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(1)
    add_vocabulary(writer)
    chance = np.random.default_rng(0)

    def matrix(*shape: int) -> np.ndarray:
        return (chance.standard_normal(shape, np.float32) * 0.02).astype(np.float16)

    ones = np.ones(HIDDEN, np.float32)
    writer.add_tensor("token_embd.weight", matrix(VOCABULARY, HIDDEN))
    writer.add_tensor("output_norm.weight", ones)
    for layer in range(LAYERS):
        shapes = {
            "attn_q": (HEADS * HEAD, HIDDEN),
            "attn_k": (KV_HEADS * HEAD, HIDDEN),
            "attn_v": (KV_HEADS * HEAD, HIDDEN),
            "attn_output": (HIDDEN, HEADS * HEAD),
            "ffn_gate_exps": (EXPERTS, WIDE, HIDDEN),
            "ffn_up_exps": (EXPERTS, WIDE, HIDDEN),
            "ffn_down_exps": (EXPERTS, HIDDEN, WIDE),
        }
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", ones)
        for name in ("attn_q_norm", "attn_k_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", ones[:HEAD])
        router = chance.standard_normal((EXPERTS, HIDDEN), np.float32) * np.float32(0.02)
        writer.add_tensor(f"blk.{layer}.ffn_gate_inp.weight", router)
        for name, shape in shapes.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(*shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer: gguf.GGUFWriter) -> None:
    """All pairs of bytes' letters, as many as there is room for."""
    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    letters += [chr(code) for code in range(256, 256 + 256 - len(letters))]
    pairs = list(itertools.islice(itertools.product(letters, letters), VOCABULARY - 512))
    tokens = [*letters, *(a + b for a, b in pairs)]
    special = [f"<|r{index}|>" for index in range(VOCABULARY - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([*tokens, *special])
    writer.add_token_types([1] * len(tokens) + [3] * len(special))
    writer.add_token_merges([f"{a} {b}" for a, b in pairs])
    writer.add_bos_token_id(VOCABULARY - 2)
    writer.add_eos_token_id(VOCABULARY - 1)


if __name__ == "__main__":
    main(sys.argv[1])
