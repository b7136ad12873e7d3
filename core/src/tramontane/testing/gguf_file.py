"""`python -m tramontane.testing.gguf_file FOLDER FILE`: a folder of safetensors as a GGUF file in
float32, to test one's own family with.

Names of tensors and keys are those of llama.cpp's package `gguf`, not of the family's rules, so the
file is independent of them. It is made as llama.cpp's converter does it for families of which it
changes no numbers; `permute` reorders the rows of q and k as its function of that name. The file
has no vocabulary, and takes token ids.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from tramontane.config import DecoderConfig, read_config
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

from .gguf_names import llama_cpp_name, package, translated

KEYS: Mapping[str, str] = MappingProxyType(
    {
        "block_count": "num_hidden_layers",
        "embedding_length": "hidden_size",
        "feed_forward_length": "intermediate_size",
        "context_length": "max_position_embeddings",
        "vocab_size": "vocab_size",
        "attention.head_count": "num_attention_heads",
        "attention.head_count_kv": "num_key_value_heads",
        "attention.key_length": "head_dim",
        "attention.value_length": "head_dim",
        "attention.layer_norm_rms_epsilon": "rms_norm_eps",
        "attention.layer_norm_epsilon": "layer_norm_eps",
        "attention.sliding_window": "sliding_window",
        "rope.freq_base": "rope_theta",
        "logit_scale": "logit_scale",
    }
)
"""Keys below the architecture's name, and the fields of a configuration that they have."""


def write_gguf(
    folder: Path, path: Path, offer: Architecture | str | None = None, *, permute: bool = False
) -> Path:
    """Write a folder's model to `path`.

    offer: the family or its name; None: the one that config.json names. Raises NoReference where
    the package `gguf` is missing or has no name for a tensor, PluginError, ConfigError.
    """
    values = json.loads((folder / "config.json").read_text("utf-8"))
    if not isinstance(offer, Architecture):
        offer = Registry.from_environment().get(Architecture, offer or values["architectures"][0])
    config = read_config(load(offer.config), values)
    assert isinstance(config, DecoderConfig)
    name = llama_cpp_name(offer)
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    names = translated(name, tensors, config.num_hidden_layers)
    writer = package().GGUFWriter(path, name)
    for key, value in _metadata(offer, name, config).items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, tuple):
            writer.add_array(key, list(value))
        elif isinstance(value, float):
            writer.add_float32(key, value)
    writer.add_tokenizer_model("none")
    for tensor, data in tensors.items():
        said = names[tensor]
        if permute and ".attn_q." in said:
            data = permuted(data, config.num_attention_heads)
        elif permute and ".attn_k." in said:
            data = permuted(data, config.num_key_value_heads)
        writer.add_tensor(said, data.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _metadata(offer: Architecture, name: str, config: DecoderConfig) -> dict[str, Any]:
    """Complete keys and their values, those of the offer's own table included."""
    keys = {f"{name}.{key}": field for key, field in KEYS.items()}
    if isinstance(offer.metadata, Mapping):
        keys |= offer.metadata
    found = {key: getattr(config, field, None) for key, field in keys.items()}
    if config.rotary:
        turned = int(config.head_dim * config.partial_rotary_factor)
        found[f"{name}.rope.dimension_count"] = turned
    return found


def permuted(data: Tensor, heads: int) -> Tensor:
    """Rows of q or k in the order of llama.cpp's converter (`permute`): halves as pairs."""
    pairs: Tensor = data.unflatten(0, (heads, 2, -1)).swapaxes(1, 2)
    return pairs.flatten(0, 2).contiguous()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--like", help="the family, if not that of config.json")
    parser.add_argument("--permute", action="store_true", help="q and k as the converter's permute")
    options = parser.parse_args()
    write_gguf(options.folder, options.file, options.like, permute=options.permute)
