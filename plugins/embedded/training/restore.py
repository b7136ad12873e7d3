"""Reads an exported file back, so that a training can go on from it."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
from export import gguf_name
from model import Llama
from tokenizer import SPECIALS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def stored_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file: its ids must stay what the weights have learnt."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def restore(model: Llama, path: Path) -> None:
    """Fill a model with a file's weights, queries and keys back in half-split order."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    shape = model.shape
    for name, weight in model.named_parameters():
        tensor = tensors[gguf_name(name)]
        value = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(name.split(".")[-2], 0)
        if heads:
            pairs = value.reshape(heads, value.shape[0] // heads // 2, 2, value.shape[1])
            value = pairs.swapaxes(1, 2)
        whole = np.array(value, dtype=np.float32).reshape(tuple(weight.shape))
        with torch.no_grad():
            weight.copy_(torch.from_numpy(whole))
