"""Writes a trained model as a checkpoint folder of Idefics3, as transformers would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sight import Seeing
from talks import AROUND, DOCUMENT, END, ROW, ROWS, WHOLE
from tokenizers import Tokenizer
from torch import Tensor

CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
PARTS = {"q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "o_proj": "self_attn",
         "out_proj": "self_attn", "fc1": "mlp", "fc2": "mlp", "gate_proj": "mlp", "up_proj": "mlp",
         "down_proj": "mlp"}  # fmt: skip
"""The part of a layer in which a matrix stands."""


def published_name(name: str) -> str:
    """The name that a weight has in checkpoints."""
    first, _, rest = name.partition(".")
    if first == "connector":
        return f"model.connector.modality_projection.proj.{rest}"
    if first != "encoder":
        rest, start = name, "model.text_model"
    else:
        start = "model.vision_model"
    if rest.startswith(("patch_embedding", "position_embedding")):
        suffix = "" if "." in rest else ".weight"
        return f"{start}.embeddings.{rest}{suffix}"
    if not rest.startswith("layers"):
        return f"{start}.{rest}"
    _, number, part, kind = rest.split(".")
    inside = ".".join(filter(None, (PARTS.get(part), part)))
    layers = "encoder.layers" if first == "encoder" else "layers"
    return f"{start}.{layers}.{number}.{inside}.{kind}"


def tensors(model: Seeing) -> dict[str, Tensor]:
    """The weights in bfloat16 by their published names; the head is the embedding."""
    found = {}
    for name, weight in model.named_parameters():
        value = weight.detach()
        if name == "encoder.patch_embedding.weight":
            value = value.view(-1, 3, model.eyes.patch, model.eyes.patch)
        found[published_name(name)] = value.to(torch.bfloat16).contiguous()
    return found


def config(model: Seeing, tokenizer: Tokenizer) -> dict[str, Any]:
    eyes, shape = model.eyes, model.shape
    end, document = tokenizer.token_to_id(END), tokenizer.token_to_id(DOCUMENT)
    return {
        "architectures": ["Idefics3ForConditionalGeneration"],
        "model_type": "idefics3",
        "dtype": "bfloat16",
        "image_token_id": tokenizer.token_to_id(ROW),
        "scale_factor": eyes.scale,
        "tie_word_embeddings": True,
        "eos_token_id": end,
        "pad_token_id": document,
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": eyes.hidden,
            "image_size": eyes.side,
            "intermediate_size": eyes.ffn,
            "layer_norm_eps": eyes.eps,
            "num_attention_heads": eyes.heads,
            "num_channels": 3,
            "num_hidden_layers": eyes.layers,
            "patch_size": eyes.patch,
        },
        "text_config": {
            "model_type": "llama",
            "hidden_act": "silu",
            "head_dim": shape.head_dim,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.ffn,
            "max_position_embeddings": shape.context,
            "num_attention_heads": shape.heads,
            "num_hidden_layers": shape.layers,
            "num_key_value_heads": shape.kv_heads,
            "rms_norm_eps": shape.eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_base},
            "vocab_size": shape.vocab,
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": document,
            "tie_word_embeddings": True,
        },
    }


def processor(side: int) -> dict[str, Any]:
    """An image is not cut into tiles: the whole of it is squeezed into one."""
    return {
        "processor_class": "Idefics3Processor",
        "image_seq_len": ROWS,
        "image_processor": {
            "image_processor_type": "Idefics3ImageProcessor",
            "do_convert_rgb": True,
            "do_image_splitting": False,
            "do_normalize": True,
            "do_pad": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "max_image_size": {"longest_edge": side},
            "resample": 1,
            "rescale_factor": 1 / 255,
            "size": {"longest_edge": side},
        },
    }


def tokenizer_config(context: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Idefics3Processor",
        "eos_token": END,
        "pad_token": DOCUMENT,
        "additional_special_tokens": [AROUND, WHOLE, ROW],
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    }


def write_folder(model: Seeing, tokenizer: Tokenizer, folder: Path) -> None:
    """Weights, configuration, tokenizer, processor and chat template; decoding is greedy."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(model), folder / "model.safetensors", {"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    ends = {"eos_token_id": tokenizer.token_to_id(END), "do_sample": False}
    for name, content in {
        "config.json": config(model, tokenizer),
        "generation_config.json": ends,
        "processor_config.json": processor(model.eyes.side),
        "tokenizer_config.json": tokenizer_config(model.shape.context),
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
