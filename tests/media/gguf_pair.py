"""A folder of a model that sees, as llama.cpp has it: the language model, and its encoder (mmproj).

Names are those of the gguf package's tensor map, and numbers are moved as llama.cpp's converter
moves them. It has none for LLaVA with CLIP: that file is as its first script writes it, with the
two matrices of a feed-forward half called by each other's names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from tramontane.media.resize import CLIP_MEAN, CLIP_STD, HALF

Arrays = dict[str, npt.NDArray[Any]]
TEXT = re.compile(r"(model\.)?(language_model|text_model)\.(model\.)?|model\.(?=embed|layers|norm)")
TYPES = {
    "gemma3": ("gemma3", "gemma3"),
    "llava": ("llama", "mlp"),
    "llava_next": ("llama", "mlp"),
    "mistral3": ("llama", "pixtral"),
    "idefics3": ("llama", "idefics3"),
    "smolvlm": ("llama", "idefics3"),
    "qwen2_vl": ("qwen2vl", "qwen2vl_merger"),
    "qwen2_5_vl": ("qwen2vl", "qwen2.5vl_merger"),
    "qwen3_vl": ("qwen3vl", "qwen3vl_merger"),
}
"""By model_type of config.json: what the two files call themselves."""


def write_pair(
    source: Path, folder: Path, *, half: bool = False, more: dict[str, Any] | None = None
) -> tuple[Path, Path]:
    """The model's and the encoder's file. half: the encoder's matrices in F16. more: metadata of
    the encoder to change; None leaves a key out."""
    config = json.loads((source / "config.json").read_text())
    tensors = load_file(source / "model.safetensors")
    text = {
        _text_name(name): data for name, data in tensors.items() if _text_name(name) is not None
    }
    rest = {name: data for name, data in tensors.items() if _text_name(name) is None}
    model, encoder = folder / "model-F32.gguf", folder / "mmproj-model-f16.gguf"
    _write_text(source, config, text, model)
    _write_encoder(source, config, rest, encoder, half, more or {})
    return model, encoder


def _text_name(name: str) -> str | None:
    if name.removeprefix("language_model.") == "lm_head.weight":
        return "lm_head.weight"
    found = TEXT.match(name)
    return None if found is None else f"model.{name[found.end() :]}"


def _pairs(data: npt.NDArray[Any], heads: int) -> npt.NDArray[Any]:
    """Rows of a head (0, d/2, 1, d/2 + 1, ...), as the converter's `permute`."""
    return data.reshape(heads, 2, -1, *data.shape[1:]).swapaxes(1, 2).reshape(data.shape)


def _write_text(source: Path, config: dict[str, Any], tensors: Arrays, path: Path) -> None:
    arch, _ = TYPES[config["model_type"]]
    text = {**config, **config.get("text_config", {})}
    if text["model_type"] == "qwen2":
        arch = "qwen2"
    if text["model_type"] == "ministral3":
        arch = "mistral3"
    heads, kv_heads = text["num_attention_heads"], text["num_key_value_heads"]
    d_head = text.get("head_dim") or text["hidden_size"] // heads
    ropes = text.get("rope_parameters") or {}
    ropes = ropes.get("full_attention", ropes)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(text["max_position_embeddings"])
    writer.add_embedding_length(text["hidden_size"])
    writer.add_block_count(text["num_hidden_layers"])
    writer.add_feed_forward_length(text["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(d_head)
    writer.add_value_length(d_head)
    writer.add_layer_norm_rms_eps(text["rms_norm_eps"])
    writer.add_rope_freq_base(ropes["rope_theta"])
    if "mrope_section" in ropes:
        writer.add_rope_dimension_sections([*ropes["mrope_section"], 0])
    if arch == "qwen3vl":
        writer.add_num_deepstack_layers(len(config["vision_config"]["deepstack_visual_indexes"]))
    if ropes.get("rope_type") == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(ropes["factor"])
        writer.add_rope_scaling_orig_ctx_len(ropes["original_max_position_embeddings"])
        writer.add_attn_temperature_scale(ropes["llama_4_scaling_beta"])
    if arch == "gemma3":
        writer.add_sliding_window(text["sliding_window"])
        slides = [kind == "sliding_attention" for kind in text["layer_types"]]
        writer.add_sliding_window_pattern(slides)
    _add_tokenizer(source, writer, text["vocab_size"])
    kind = next(each for each, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    names = gguf.get_tensor_name_map(kind, text["num_hidden_layers"])
    for name, data in tensors.items():
        if arch == "gemma3" and "norm" in name:
            data = data + 1
        if arch in ("llama", "mistral3"):
            for part, count in (("q_proj", heads), ("k_proj", kv_heads)):
                data = _pairs(data, count) if f".{part}." in name else data
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored is not None, name
        writer.add_tensor(stored, np.ascontiguousarray(data))
    _finish(writer)


def _add_tokenizer(source: Path, writer: gguf.GGUFWriter, size: int) -> None:
    told = json.loads((source / "tokenizer.json").read_text())
    tokens = sorted(told["model"]["vocab"], key=told["model"]["vocab"].__getitem__)
    special = [each["content"] for each in told["added_tokens"]]
    spare = [f"[PAD{index}]" for index in range(len(tokens) + len(special), size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *special, *spare][:size])
    kinds = [1] * len(tokens) + [3] * len(special) + [5] * len(spare)
    writer.add_token_types(kinds[:size])
    writer.add_token_merges(["a b"])  # joins to what is no token
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(258)
    writer.add_chat_template((source / "chat_template.jinja").read_text())


def _write_encoder(
    source: Path, config: dict[str, Any], tensors: Arrays, path: Path, half: bool,
    more: dict[str, Any],
) -> None:  # fmt: skip
    kind = TYPES[config["model_type"]][1]
    vision = config["vision_config"]
    processor = json.loads((source / "preprocessor_config.json").read_text())
    hidden = vision.get("embed_dim", vision["hidden_size"])
    depth = vision.get("num_hidden_layers", vision.get("depth"))
    plain = kind in ("gemma3", "idefics3")
    mean, std = (HALF, HALF) if plain else (CLIP_MEAN, CLIP_STD)  # tiny ones do not say it
    told = {
        "clip.projector_type": kind,
        "clip.has_vision_encoder": True,
        "clip.vision.projection_dim": config["text_config"]["hidden_size"],
        "clip.vision.image_size": vision.get("image_size", 560),
        "clip.vision.patch_size": vision["patch_size"],
        "clip.vision.embedding_length": hidden,
        # what the converter takes for it in Qwen2-VL is the language model's width
        "clip.vision.feed_forward_length": vision.get("intermediate_size", vision["hidden_size"]),
        "clip.vision.block_count": depth,
        "clip.vision.attention.head_count": vision.get("num_attention_heads")
        or vision["num_heads"],
        "clip.vision.attention.layer_norm_epsilon": vision.get("layer_norm_eps", 1e-6),
        "clip.vision.image_mean": list(mean),
        "clip.vision.image_std": list(std),
        **KEYS[kind](config, vision, processor, depth),
        **more,
    }
    writer = gguf.GGUFWriter(path, "clip")
    for key, value in told.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif value is not None:
            writer.add_float32(key, value)
    for name, data in _encoder_tensors(config, vision, kind, tensors, depth).items():
        stored = data.astype(np.float16) if half and data.ndim > 1 else data
        writer.add_tensor(name, np.ascontiguousarray(stored))
    _finish(writer)


def _gemma3(config: Any, vision: Any, processor: Any, depth: int) -> dict[str, Any]:
    side = vision["image_size"] // vision["patch_size"]
    pooled = side // int(config["mm_tokens_per_image"] ** 0.5)
    return {
        "clip.use_gelu": True,
        "clip.vision.projector.scale_factor": None if pooled == 4 else pooled,
    }


def _llava(config: Any, vision: Any, processor: Any, depth: int) -> dict[str, Any]:
    layers = config["vision_feature_layer"]
    layers = layers if isinstance(layers, list) else [layers]
    read = [each if each >= 0 else depth + 1 + each for each in layers]
    found: dict[str, Any] = {
        "clip.has_llava_projector": True,
        "clip.vision.block_count": max(read),
        "clip.use_gelu": vision["hidden_act"] == "gelu",
        # the first script leaves the key out of files with one layer, the second last
        "clip.vision.feature_layer": read if len(read) > 1 else None,
    }
    if "image_grid_pinpoints" in config:
        found["clip.vision.image_grid_pinpoints"] = [
            n for pair in config["image_grid_pinpoints"] for n in pair
        ]
        found["clip.vision.mm_patch_merge_type"] = "spatial_unpad"
    return found


def _pixtral(config: Any, vision: Any, processor: Any, depth: int) -> dict[str, Any]:
    act = vision["hidden_act"]
    return {
        f"clip.use_{act}": True,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.spatial_merge_size": config["spatial_merge_size"],
    }


def _idefics3(config: Any, vision: Any, processor: Any, depth: int) -> dict[str, Any]:
    return {
        "clip.use_gelu": True,
        "clip.vision.projector.scale_factor": config["scale_factor"],
        "clip.vision.preproc_image_size": processor["size"]["longest_edge"],
    }


def _qwen2(config: Any, vision: Any, processor: Any, depth: int) -> dict[str, Any]:
    # files of the family do not say these two, but may; the tiny ones do
    return {
        "clip.vision.image_min_pixels": processor["size"]["shortest_edge"],
        "clip.vision.image_max_pixels": processor["size"]["longest_edge"],
    }


def _qwen25(config: Any, vision: Any, processor: Any, depth: int) -> dict[str, Any]:
    whole = vision["fullatt_block_indexes"]
    return {
        **_qwen2(config, vision, processor, depth),
        "clip.use_silu": True,
        "clip.vision.n_wa_pattern": whole[0] + 1,
        "clip.vision.window_size": vision["window_size"],
    }


def _qwen3(config: Any, vision: Any, processor: Any, depth: int) -> dict[str, Any]:
    return {
        **_qwen2(config, vision, processor, depth),
        "clip.use_gelu": True,
        "clip.vision.spatial_merge_size": vision["spatial_merge_size"],
        "clip.vision.is_deepstack_layers": [
            layer in vision["deepstack_visual_indexes"] for layer in range(depth)
        ],
    }


KEYS: dict[str, Any] = {
    "gemma3": _gemma3, "mlp": _llava, "pixtral": _pixtral, "idefics3": _idefics3,
    "qwen2vl_merger": _qwen2, "qwen2.5vl_merger": _qwen25, "qwen3vl_merger": _qwen3,
}  # fmt: skip


def _encoder_tensors(
    config: Any, vision: Any, kind: str, tensors: Arrays, depth: int
) -> Arrays:  # fmt: skip
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, depth)
    found: Arrays = {}
    if kind == "pixtral":
        found["v.token_embd.img_break"] = np.zeros(config["text_config"]["hidden_size"], np.float32)
    for name, data in tensors.items():
        if kind == "mlp":
            if "post_layernorm" not in name and not _behind(config, name, depth):
                found[_first_script(name)] = data
            continue
        if "soft_emb_norm" in name:
            data = data + 1
        if kind == "pixtral" and re.search(r"\.[qk]_proj\.", name):
            data = _pairs(data, vision["num_attention_heads"])
        for stored, part in _converted(name, data, kind, vision):
            known = stored if stored.startswith(("v.", "mm.")) else None
            known = known or names.get_name(stored, try_suffixes=(".weight", ".bias"))
            assert known is not None, stored
            found[known] = part
    return found


def _converted(name: str, data: Any, kind: str, vision: Any) -> list[tuple[str, Any]]:
    """The names that the tensor map knows, or GGUF's own."""
    name = name.replace("_projection_weight", "_projection.weight")
    if kind == "gemma3":  # as published checkpoints have them
        name = name.replace("vision_tower.", "vision_tower.vision_model.")
    name = re.sub(r"^model\.visual\.", "visual.", name)
    if "patch_embed.proj.weight" in name:
        return [("v.patch_embd.weight", data[:, :, 0]), ("v.patch_embd.weight.1", data[:, :, 1])]
    if kind != "qwen3vl_merger":
        if ".qkv." in name:
            parts = np.split(data, 3)
            return [
                (name.replace("qkv", part), each) for part, each in zip("qkv", parts, strict=True)
            ]
        return [(name, data)]
    if deep := re.match(r"visual\.deepstack_merger_list\.(\d+)\.(?:linear_)?(.+)", name):
        layer = vision["deepstack_visual_indexes"][int(deep[1])]
        return [(f"v.deepstack.{layer}.{deep[2]}", data)]
    name = name.replace("visual.merger.norm", "v.post_ln")
    name = name.replace("visual.merger.linear_fc1", "mm.0")
    return [(name.replace("visual.merger.linear_fc2", "mm.2"), data)]


def _behind(config: Any, name: str, depth: int) -> bool:
    layer = re.search(r"layers\.(\d+)\.", name)
    read = _llava(config, config["vision_config"], {}, depth)["clip.vision.block_count"]
    return layer is not None and int(layer[1]) >= read


def _first_script(name: str) -> str:
    changes = (
        ("multi_modal_projector.linear_1", "mm.0"), ("multi_modal_projector.linear_2", "mm.2"),
        ("vision_tower.vision_model.", "v."), ("vision_tower.", "v."), ("encoder.layers", "blk"),
        ("embeddings.", ""), ("_proj", ""), ("self_attn.", "attn_"), ("layer_norm", "ln"),
        ("mlp.fc1", "ffn_down"), ("mlp.fc2", "ffn_up"), ("embedding", "embd"), ("layrnorm", "ln"),
    )  # fmt: skip
    if name.endswith("image_newline"):
        return "model.image_newline"
    for theirs, ours in changes:
        name = name.replace(theirs, ours)
    return name


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
