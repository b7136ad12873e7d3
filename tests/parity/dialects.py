"""Checkpoints as others have written them: names, and tensors that a model does not need."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

Tensors = dict[str, Tensor]

ALIASES = {
    "llama": "LLaMAForCausalLM",
    "phimoe": "PhiMoEForCausalLM",
    "mpt": "MPTForCausalLM",
    "falcon": "RWForCausalLM",
    "baichuan": "BaiChuanForCausalLM",
}
"""Other names of architectures."""
FREQUENCIES = {
    "falcon": "transformer.h.0.self_attention.rotary_emb.inv_freq",
    "gptneox": "gpt_neox.layers.0.attention.rotary_emb.inv_freq",
    "internlm2": "model.layers.0.attention.rotary_emb.inv_freq",
    "qwen": "transformer.rotary_emb.inv_freq",
    "xglm": "model.embed_positions.weights",
    "jais": "transformer.relative_pe.slopes",
    **dict.fromkeys(
        ["llama", "gemma", "gemma2", "gemma3", "phi2", "starcoder2", "glm4", "glm4-moe",
         "smollm3", "granite", "granite-moe", "granite-shared", "deepseek-v2", "deepseek-v3",
         "glm4-moe-lite", "minicpm", "minicpm-moe", "minicpm3", "internlm", "internlm3",
         "baichuan", "orion", "xverse", "bailing"],
        "model.layers.0.self_attn.rotary_emb.inv_freq",
    ),
}  # fmt: skip
"""Where older checkpoints keep what a rotation's angles are made of, positions, or slopes."""
MASKS = {
    "gpt2": ("h.0.attn.bias", "h.0.attn.masked_bias"),
    "gptj": ("transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"),
    "gptneox": ("gpt_neox.layers.0.attention.bias", "gpt_neox.layers.0.attention.masked_bias"),
    "gpt-bigcode": ("transformer.h.0.attn.bias",),
    "jais": ("transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"),
    "qwen": ("transformer.h.0.attn.masked_bias",),
}
"""Causal masks, which older checkpoints hold as if they were weights."""
BARE = ("gpt2", "bloom")
"""Families whose first checkpoints have no "transformer." before names."""
HEADS = {"gemma": "model.embed_tokens", "starcoder2": "model.embed_tokens"}
"""Families whose tied head may be saved under both names."""
EXPERTS = {
    "mixtral": (("block_sparse_moe.", "mlp."),),
    "phimoe": (("block_sparse_moe.gate", "mlp.router"), ("block_sparse_moe.", "mlp.")),
}
HALVES = ((".w1.", ".gate_proj."), (".w2.", ".down_proj."), (".w3.", ".up_proj."))
STACKED = ("nemotron-h-moe",)
"""Families whose experts transformers may save in one tensor, and whose first checkpoints have
their layers as letters and those that guess further tokens beside the model."""
LETTERS = {"linear_attention": "M", "full_attention": "*", "mlp": "-", "moe": "E"}
AHEAD = (
    "deepseek-v2", "deepseek-v3", "deepseek-v3.2", "glm4-moe", "glm4-moe-lite", "glm-dsa",
    "bailing2",
)  # fmt: skip
"""Families whose checkpoints have layers that guess further tokens."""
PICTURES = {
    "gemma3n": "Gemma3nForConditionalGeneration",
    "gemma4": "Gemma4ForConditionalGeneration",
    "gemma4-unified": "Gemma4UnifiedForConditionalGeneration",
    "llama4": "Llama4ForConditionalGeneration",
    "ministral3": "Mistral3ForConditionalGeneration",
    "qwen3.5": "Qwen3_5ForConditionalGeneration",
    "qwen3.5-moe": "Qwen3_5MoeForConditionalGeneration",
}
"""Families that are published as a part of models that see."""
REPEATED = {"zamba2": (".shared_transformer.", "layers_block_type", "hybrid", "num_mem_blocks")}
"""Families whose layers share blocks, which a file may hold once for each layer: the name, the key
and the value that say which layers, and how many blocks there are."""
OTHERS = sorted(
    {*ALIASES, *FREQUENCIES, *MASKS, *BARE, *HEADS, *EXPERTS, *AHEAD, *STACKED, *PICTURES,
     *REPEATED}
)  # fmt: skip
"""Families that have more than one dialect."""


def other(family: str, tensors: Tensors, config: dict[str, Any]) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and config.json in every other way that the family's rules know, all at once."""
    out = dict(tensors)
    for before, after in (*EXPERTS.get(family, ()), *(HALVES if family in EXPERTS else ())):
        out = {name.replace(before, after): data for name, data in out.items()}
    if family in BARE:
        out = {name.removeprefix("transformer."): data for name, data in out.items()}
    if family in FREQUENCIES:
        out[FREQUENCIES[family]] = torch.ones(4)
    for name in MASKS.get(family, ()):
        out[name] = torch.ones(1, 1, 8, 8).tril()
    if family in HEADS:
        out["lm_head.weight"] = out[f"{HEADS[family]}.weight"].clone()
    if family in AHEAD:
        depth = config["num_hidden_layers"]
        last = re.compile(rf"model\.layers\.{depth - 1}\.(.*)")
        found = {name: last.fullmatch(name) for name in tensors}
        out |= {
            f"model.layers.{depth}.{parts[1]}": tensors[name].clone()
            for name, parts in found.items() if parts
        }  # fmt: skip
    if family in STACKED:
        out = _with_experts_in_one(out)
        kinds = config["layers_block_type"]
        last = f"backbone.layers.{len(kinds) - 1}."
        out |= {name.replace(last, "mtp.layers.0."): data.clone()
                for name, data in out.items() if name.startswith(last)}  # fmt: skip
        config = {key: value for key, value in config.items() if key != "layers_block_type"}
        config["hybrid_override_pattern"] = "".join(LETTERS[kind] for kind in kinds)
    if family in REPEATED:
        block, key, shared, count = REPEATED[family]
        places = [index for index, kind in enumerate(config[key]) if kind == shared]
        for turn, place in enumerate(places[config[count] :]):
            kept, own = (f"model.layers.{i}{block}" for i in (places[turn % config[count]], place))
            out |= {name.replace(kept, own): data.clone() for name, data in tensors.items()
                    if name.startswith(kept)}  # fmt: skip
        older = {"linear_attention": "mamba"}
        config = {**config, key: [older.get(kind, kind) for kind in config[key]]}
    if family in PICTURES:
        out = {name.replace("model.", "model.language_model.", 1): data
               for name, data in out.items()}  # fmt: skip
        out |= {f"model.{part}.weight": torch.ones(2, 3)
                for part in ("vision_tower.blocks.0", "embed_vision.projection", "audio_tower.conv",
                             "vision_embedder.patch", "embed_audio.projection")}  # fmt: skip
        return out, {"architectures": [PICTURES[family]], "text_config": config}
    architectures = [ALIASES[family]] if family in ALIASES else config["architectures"]
    return out, {**config, "architectures": architectures}


def _with_experts_in_one(tensors: Tensors) -> Tensors:
    out: Tensors = {}
    each: dict[str, dict[int, Tensor]] = {}
    for name, data in tensors.items():
        if found := re.fullmatch(r"(.*\.experts)\.(\d+)\.(\w+)\.weight", name):
            each.setdefault(f"{found[1]}.{found[3]}", {})[int(found[2])] = data
        else:
            out[name] = data
    stacks = {name: [parts[i] for i in sorted(parts)] for name, parts in each.items()}
    return out | {name: torch.stack(parts) for name, parts in stacks.items()}
