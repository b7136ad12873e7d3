"""A file's header and vocabulary in the words of GGUF's metadata."""

from __future__ import annotations

from pathlib import Path

from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_quant_gguf.from_folder.vocabulary import keys_of
from tramontane_quant_gguf.writer import Value

from .header import OldFile


def gguf_keys(
    file: OldFile, config: dict[str, int | float], tokenizer: Tokenizer, path: Path
) -> dict[str, Value]:
    """All pairs of a GGUF file of the model. config: the header's, in config.json's words.

    Of a family whose tensors have GGUF's names. Raises CheckpointError for a tokenizer that the
    metadata cannot describe.
    """
    name = file.family.architecture
    keys: dict[str, Value] = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config.get("intermediate_size", 4 * config["hidden_size"]),
        "attention.head_count": config["num_attention_heads"],
    }
    if name == "llama":
        keys |= {
            "attention.head_count_kv": config["num_key_value_heads"],
            "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
            "rope.dimension_count": config["hidden_size"] // config["num_attention_heads"],
            "rope.freq_base": config["rope_theta"],
        }
    else:
        keys["attention.layer_norm_epsilon"] = config["layer_norm_eps"]
    return {
        "general.architecture": name,
        "general.name": path.stem,
        **{f"{name}.{key}": value for key, value in keys.items()},
        **keys_of(tokenizer, file.fields["n_vocab"], str(path)),
    }
