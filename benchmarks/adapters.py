"""What adapters cost: sequences decoded together with different adapters, and with none.

    python benchmarks/adapters.py FOLDER [--sequences 16] [--adapters 8] [--rank 16] [--threads 2]

A model of random Q4_K blocks in the shape of Llama-3.2-1B, with Q6_K where Q4_K_M has it, and
adapters of all its linear layers are written to FOLDER (0.8 GB and 0.02 GB each), unless they are
there. Prints tokens per second of all sequences together, alternately measured, medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tramontane import LLM, SamplingParams
from tramontane_quant_gguf.types import STORED
from tramontane_quant_gguf.writer import Written, write_gguf

LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, HEAD, VOCABULARY = 16, 2048, 8192, 32, 8, 64, 128256
F32 = 0
Q4_K, Q6_K = (next(k for k, v in STORED.items() if v.name == name) for name in ("Q4_K", "Q6_K"))
NAMES = {
    "attn_q": ("self_attn.q_proj", HEADS * HEAD, HIDDEN),
    "attn_k": ("self_attn.k_proj", KV_HEADS * HEAD, HIDDEN),
    "attn_v": ("self_attn.v_proj", KV_HEADS * HEAD, HIDDEN),
    "attn_output": ("self_attn.o_proj", HIDDEN, HEADS * HEAD),
    "ffn_gate": ("mlp.gate_proj", INNER, HIDDEN),
    "ffn_up": ("mlp.up_proj", INNER, HIDDEN),
    "ffn_down": ("mlp.down_proj", HIDDEN, INNER),
}


def write_model(path: Path) -> None:
    chance = np.random.default_rng(0)

    def matrix(name: str, kind: int, rows: int, columns: int) -> Written:
        stored = STORED[kind]
        shape = (rows * columns // stored.block, stored.nbytes)
        blocks = chance.integers(0, 256, shape, dtype=np.uint8)
        scale = np.frombuffer(np.float16(1e-5).tobytes(), np.uint8)
        if kind == Q4_K:
            blocks[:, :2] = blocks[:, 2:4] = scale
        else:
            blocks[:, -2:] = scale
        return Written(name, kind, (rows, columns), blocks.tobytes())

    def ones(name: str) -> Written:
        return Written(name, F32, (HIDDEN,), np.ones(HIDDEN, "<f4").tobytes())

    tensors = [matrix("token_embd.weight", Q6_K, VOCABULARY, HIDDEN), ones("output_norm.weight")]
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        tensors += [ones(f"{block}.attn_norm.weight"), ones(f"{block}.ffn_norm.weight")]
        for name, (_, rows, columns) in NAMES.items():
            more = name in ("attn_v", "ffn_down") and layer % 2 == 0
            tensors.append(matrix(f"{block}.{name}.weight", Q6_K if more else Q4_K, rows, columns))
    metadata = {
        "general.architecture": "llama", "llama.block_count": LAYERS,
        "llama.context_length": 4096, "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": INNER, "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS, "llama.attention.key_length": HEAD,
        "llama.attention.value_length": HEAD, "llama.vocab_size": VOCABULARY,
        "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.dimension_count": HEAD,
        "llama.rope.freq_base": 500000.0,
    }  # fmt: skip
    write_gguf(path, metadata, tensors)


def write_adapter(folder: Path, seed: int, rank: int) -> None:
    """As they are saved after training in bfloat16."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(LAYERS):
        for module, rows, columns in NAMES.values():
            name = f"base_model.model.model.layers.{layer}.{module}"
            for part, shape in (("A", (rank, columns)), ("B", (rows, rank))):
                data = torch.randn(shape, generator=generator) / 64
                tensors[f"{name}.lora_{part}.weight"] = data.bfloat16()
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank}
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def seconds(llm: LLM, sequences: int, names: list[str], steps: int) -> float:
    """Of a step in which each sequence decodes a token. names: of adapters, taken in turn."""

    def took(tokens: int) -> float:
        requests = []
        for index in range(sequences):
            params = SamplingParams(
                temperature=0, max_tokens=tokens, ignore_eos=True, seed=1,
                adapter=names[index % len(names)] if names else None,
            )  # fmt: skip
            prompt = tuple((31 * index + 7 * i) % 1000 for i in range(16))
            requests += llm.inner.requests(prompt, params)
        started = time.perf_counter()
        assert all(result.error is None for result in llm._results(requests))
        return time.perf_counter() - started

    few = took(4)
    return (took(4 + steps) - few) / steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    model = options.folder / "llama-1b.gguf"
    if not model.exists():
        write_model(model)
    with LLM(model, num_ctx=256, kv_tokens=8192, threads=options.threads) as llm:
        names = [f"a{index}" for index in range(options.adapters)]
        for index, name in enumerate(names):
            path = options.folder / f"{name}-{options.rank}"
            if not path.exists():
                write_adapter(path, index, options.rank)
            llm.load_adapter(name, path)
        cases = {"none": [], "one": names[:1], f"{len(names)} different": names}
        found: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(options.rounds):
            for case, which in cases.items():
                found[case].append(seconds(llm, options.sequences, which, options.steps))
    base = statistics.median(found["none"])
    for case, values in found.items():
        middle = statistics.median(values)
        print(
            f"{options.sequences} sequences, adapters: {case}: "
            f"{options.sequences / middle:.1f} t/s, {base / middle:.2f} of none",
            flush=True,
        )


if __name__ == "__main__":
    main()
