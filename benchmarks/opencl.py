"""Decoding on an OpenCL device and by the processor's backend, in turn: a model of the shape of a
Llama with a billion weights, random, in 4 bits with a scale for 32 (as Q4_0).

    python benchmarks/opencl.py [--layers 16] [--tokens 8] [--rounds 3] [--other cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from tramontane.blocks import Embedding, Linear
from tramontane.checkpoint.build import build
from tramontane.config import read_config
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane.layouts import Affine
from tramontane.plugin import Architecture, Backend, load
from tramontane.registry import Registry

SHAPE = {
    "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
    "tie_word_embeddings": True, "max_position_embeddings": 4096,
}  # fmt: skip


def matrix(rows: int, columns: int) -> Affine:
    """Random codes, scales of the size that keeps numbers near one."""
    codes = torch.randint(0, 256, (rows, columns // 2), dtype=torch.uint8)
    scale = torch.rand(rows, columns // 32).mul(0.3 / columns**0.5).half()
    return Affine(4, 32, (codes,), scale, 8)


def random_model(layers: int) -> Any:
    """On the processor, its embedding and its head one matrix."""
    offer = Registry().get(Architecture, "LlamaForCausalLM")
    settings = {**offer.example, **SHAPE, "num_hidden_layers": layers}
    model = build(offer, read_config(load(offer.config), settings))
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(1.0)
    for module in model.modules():
        if isinstance(module, (Linear, Embedding)):
            module.weight = matrix(*module.weight.shape)
    model.lm_head.weight = model.model.embed_tokens.weight
    model.model.embed_tokens.dtype = torch.float32
    return model


class Decoding:
    """A model on a device, and one sequence."""

    def __init__(self, backend: str, layers: int) -> None:
        offer = Registry().get(Backend, backend)
        self.device = load(offer.probe)()[0]
        self.model = random_model(layers)
        load(offer.prepare)(self.model, self.device, None, "auto")
        where = torch.device(self.device.torch_device)
        self.cache = KVCache(self.model, 16, torch.float32, where)
        self.held, self.length = self.cache.take(16), 0

    def step(self) -> None:
        piece = (self.length, 1, self.length + 1, self.held, [0])
        self.model.step([17], Batch.of([piece], self.cache))
        self.length += 1

    def rate(self, tokens: int) -> float:
        """Tokens a second."""
        started = time.perf_counter()
        for _ in range(tokens):
            self.step()
        return tokens / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--other", default="cpu")
    asked = parser.parse_args()
    both = [Decoding(name, asked.layers) for name in ("opencl", asked.other)]
    for each in both:
        each.rate(3)  # compiles
    rates = [[each.rate(asked.tokens) for each in both] for _ in range(asked.rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    print(f"{both[0].device.label}: {ours:.2f} tokens/s; {asked.other}: {theirs:.2f}")
    print(f"ratio {ours / theirs:.2f}, by round", *(f"{a / b:.2f}" for a, b in rates))


if __name__ == "__main__":
    main()
