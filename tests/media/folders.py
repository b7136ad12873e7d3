"""Tiny random checkpoints of models that take images or sounds, written by transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers

BASE = ("<pad>", "<s>", "</s>", "<unk>")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% if m.content is string %}"
    "{{ m.content }}{% else %}{% for p in m.content %}{% if p.type != 'text' %}MARK"
    "{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}\n{% endfor %}[assistant]"
)
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "vocab_size": 280,
    "bos_token_id": 257,
    "eos_token_id": 258,
    "pad_token_id": 256,
}


@dataclass(frozen=True)
class Vision:
    """A configuration. make: special tokens' ids -> transformers' model. inputs: what its forward
    takes of the items' arrays, beside the ids and `mm_token_type_ids` of these."""

    name: str
    special: tuple[str, ...]
    mark: str
    make: Callable[[dict[str, int]], Any]
    inputs: Callable[[list[Any], torch.Tensor, int], dict[str, Any]]
    row: str
    processor: dict[str, Any] = field(default_factory=dict)


def tokenizer_of(special: tuple[str, ...]) -> tokenizers.Tokenizer:
    """256 bytes, and special tokens from 256 on."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    inner.add_special_tokens([*BASE, *special])
    return inner


def write(folder: Path, vision: Vision) -> Any:
    """Write the checkpoint; returns transformers' model of it."""
    inner = tokenizer_of(vision.special)
    ids = {token: inner.token_to_id(token) for token in (*BASE, *vision.special)}
    torch.manual_seed(7)
    model = vision.make(ids).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 0
            spread = 0.7 / fan**0.5 if fan else 0.1
            start = 0.0 if fan or "bias" in name else float(parameter.mean().round())
            parameter.copy_(start + spread * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    inner.save(str(folder / "tokenizer.json"))
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    (folder / "chat_template.jinja").write_text(TEMPLATE.replace("MARK", vision.mark))
    (folder / "preprocessor_config.json").write_text(json.dumps(vision.processor))
    return model


def picture(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Waves with a hard edge, (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / 7 + y / 19 + seed), 127 + 90 * np.cos(x / 23 - y / 5),
              (3 * x + 2 * y + 31 * seed) % 256]  # fmt: skip
    pixels = np.stack(planes, -1)
    pixels[height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = (255, 0, 40)
    return pixels.clip(0, 255).astype(np.uint8)


def gemma3(vision: dict[str, Any], tokens: int, **text: Any) -> Vision:
    def make(ids: dict[str, int]) -> Any:
        config = transformers.Gemma3Config(
            vision_config=transformers.SiglipVisionConfig(
                **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                   "num_attention_heads": 4, "vision_use_head": False} | vision
            ),
            text_config=transformers.Gemma3TextConfig(
                **TEXT | {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8,
                          "layer_types": ["sliding_attention", "full_attention"] * 2,
                          "num_hidden_layers": 4} | text
            ),
            mm_tokens_per_image=tokens,
            boi_token_index=ids["<start_of_image>"], eoi_token_index=ids["<end_of_image>"],
            image_token_index=ids["<image_soft_token>"],
        )  # fmt: skip
        return transformers.Gemma3ForConditionalGeneration(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        pixels = torch.stack([torch.from_numpy(item.arrays["pixels"]) for item in items])
        return {"pixel_values": pixels, "token_type_ids": (ids == row).long()}

    special = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
    size = {"height": vision["image_size"], "width": vision["image_size"]}
    return Vision(
        "gemma3", special, special[0], make, inputs, special[2],
        {"size": size, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    )  # fmt: skip


def qwen_vl(
    kind: str, vision: dict[str, Any], section: list[int], *, tied: bool = False, **text: Any
) -> Vision:
    def make(ids: dict[str, int]) -> Any:
        rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": section}
        config = getattr(transformers, f"{kind}Config")(
            vision_config={"depth": 3, "num_heads": 4, "spatial_merge_size": 2,
                           "temporal_patch_size": 2} | vision,
            text_config=TEXT | {"rope_parameters": rope} | text, tie_word_embeddings=tied,
            image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
        )  # fmt: skip
        return getattr(transformers, f"{kind}ForConditionalGeneration")(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        patches = torch.cat([torch.from_numpy(item.arrays["patches"]) for item in items])
        grids = [[1, *item.arrays["grid"].tolist()] for item in items]
        return {
            "pixel_values": patches, "image_grid_thw": torch.tensor(grids),
            "mm_token_type_ids": (ids == row).int(),
        }  # fmt: skip

    special = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    side = 2 * int(vision["patch_size"])
    return Vision(
        kind, special, "<|vision_start|><|image_pad|><|vision_end|>", make, inputs, special[2],
        {"size": {"shortest_edge": 4 * side**2, "longest_edge": 16 * side**2}},
    )  # fmt: skip


def llava(kind: str, vision: dict[str, Any], text: str, **outer: Any) -> Vision:
    told = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "projection_dim": 32,
    } | vision  # fmt: skip
    side = int(told["image_size"])

    def make(ids: dict[str, int]) -> Any:
        texts = {
            "llama": transformers.LlamaConfig, "mistral": transformers.MistralConfig,
            "qwen2": transformers.Qwen2Config,
        }  # fmt: skip
        more = outer.get("text_config", {})
        config = getattr(transformers, f"{kind}Config")(
            vision_config=transformers.CLIPVisionConfig(**told),
            text_config=texts[text](**TEXT | more), image_token_index=ids["<image>"],
            **{name: value for name, value in outer.items() if name != "text_config"},
        )  # fmt: skip
        return getattr(transformers, f"{kind}ForConditionalGeneration")(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        pixels = [torch.from_numpy(item.arrays["pixels"]) for item in items]
        if kind == "Llava":
            return {"pixel_values": torch.stack(pixels)}
        sizes = torch.tensor([item.arrays["size"].tolist() for item in items])
        padded = torch.nn.utils.rnn.pad_sequence(pixels, batch_first=True)
        return {"pixel_values": padded, "image_sizes": sizes}

    size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    more = {name: outer[name] for name in ("image_grid_pinpoints",) if name in outer}
    return Vision(kind, ("<image>",), "<image>", make, inputs, "<image>", size | more)


def mistral3(vision: dict[str, Any], most: int, text: str = "Mistral", **outer: Any) -> Vision:
    told = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "image_size": most,
    } | vision  # fmt: skip

    def make(ids: dict[str, int]) -> Any:
        more = {"head_dim": 8} | outer.get("text_config", {})
        config = transformers.Mistral3Config(
            vision_config=transformers.PixtralVisionConfig(**told),
            text_config=getattr(transformers, f"{text}Config")(**TEXT | more),
            image_token_index=ids["[IMG]"],
            **{name: value for name, value in outer.items() if name != "text_config"},
        )  # fmt: skip
        return transformers.Mistral3ForConditionalGeneration(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        pixels = [torch.from_numpy(item.arrays["pixels"]) for item in items]
        sizes = torch.tensor([list(each.shape[1:]) for each in pixels])
        padded = torch.zeros(len(pixels), 3, *sizes.amax(0).tolist())
        for place, each in zip(padded, pixels, strict=True):
            place[:, : each.shape[1], : each.shape[2]] = each
        return {"pixel_values": padded, "image_sizes": sizes}

    special = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    settings = {"size": {"longest_edge": most}}
    return Vision("mistral3", special, "[IMG]", make, inputs, "[IMG]", settings)


def tiles(
    kind: str, vision: dict[str, Any], scale: int, longest: int, *, tile: int | None = None,
    split: bool = True, tied: bool = False, **text: Any,
) -> Vision:  # fmt: skip
    side = tile or int(vision["image_size"])

    def make(ids: dict[str, int]) -> Any:
        config = getattr(transformers, f"{kind}Config")(
            vision_config={"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                           "num_attention_heads": 4} | vision,
            text_config={"model_type": "llama", "rms_norm_eps": 1e-5} | TEXT | text,
            scale_factor=scale, tie_word_embeddings=tied, image_token_id=ids["<image>"],
        )  # fmt: skip
        return getattr(transformers, f"{kind}ForConditionalGeneration")(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        found = [torch.from_numpy(item.arrays["tiles"]) for item in items]
        return {"pixel_values": torch.cat(found)[None]}

    places = [f"<row_{row}_col_{column}>" for row in (1, 2, 3) for column in (1, 2, 3)]
    special = ("<fake_token_around_image>", "<image>", "<global-img>", *places)
    return Vision(
        kind, special, "<image>", make, inputs, "<image>",
        {"size": {"longest_edge": longest}, "max_image_size": {"longest_edge": side},
         "do_image_splitting": split},
    )  # fmt: skip


WINDOWS = {"hidden_size": 32, "intermediate_size": 44, "out_hidden_size": 32}
DEEP = {"hidden_size": 32, "intermediate_size": 44, "out_hidden_size": 32, "num_heads": 4}
FAMILIES: dict[str, Vision] = {
    "gemma3": gemma3({"image_size": 56, "patch_size": 14}, 4),
    "gemma3-one-row": gemma3({"image_size": 36, "patch_size": 6}, 1, sliding_window=3),
    "gemma3-wide": gemma3({"image_size": 30, "patch_size": 5, "hidden_size": 24}, 9),
    "qwen2-vl": qwen_vl(
        "Qwen2VL", {"patch_size": 14, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2},
        [2, 1, 1],
    ),
    "qwen2-vl-grouped": qwen_vl(
        "Qwen2VL", {"patch_size": 6, "embed_dim": 16, "hidden_size": 40, "mlp_ratio": 3},
        [1, 1, 3], hidden_size=40, num_key_value_heads=1,
    ),
    "qwen2.5-vl": qwen_vl(
        "Qwen2_5_VL",
        WINDOWS | {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]},
        [1, 2, 1],
    ),
    "qwen2.5-vl-odd-windows": qwen_vl(
        "Qwen2_5_VL",
        WINDOWS | {"patch_size": 7, "window_size": 42, "fullatt_block_indexes": [0, 2]},
        [2, 1, 1], tie_word_embeddings=True,
    ),
    "llava": llava("Llava", {"image_size": 56, "patch_size": 14}, "llama"),
    "llava-mistral-all-rows": llava(
        "Llava", {"image_size": 30, "patch_size": 7, "hidden_size": 24, "hidden_act": "gelu"},
        "mistral", vision_feature_select_strategy="full", vision_feature_layer=3,
        multimodal_projector_bias=False, text_config={"sliding_window": 9},
    ),
    "llava-qwen2-two-layers": llava(
        "Llava", {"image_size": 40, "patch_size": 10}, "qwen2", vision_feature_layer=[0, -3],
        text_config={"tie_word_embeddings": True}, tie_word_embeddings=True,
    ),
    "llava-next": llava(
        "LlavaNext", {"image_size": 28, "patch_size": 7}, "mistral",
        image_grid_pinpoints=[[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]],
        text_config={"sliding_window": None},
    ),
    "llava-next-odd-patches": llava(
        "LlavaNext", {"image_size": 34, "patch_size": 7, "num_attention_heads": 2}, "llama",
        image_grid_pinpoints=[[34, 102], [68, 34]], vision_feature_layer=[-2, 1],
    ),
    "llava-next-qwen2-one-tile": llava(
        "LlavaNext", {"image_size": 40, "patch_size": 8}, "qwen2",
        image_grid_pinpoints=[[40, 40]], multimodal_projector_bias=False,
    ),
    "mistral3": mistral3(
        {"patch_size": 14, "hidden_act": "silu"}, 112, tie_word_embeddings=False,
        text_config={"sliding_window": None},
    ),
    "mistral3-wide-squares": mistral3(
        {"patch_size": 5, "hidden_size": 24, "num_attention_heads": 2}, 90, spatial_merge_size=3,
        multimodal_projector_bias=True, vision_feature_layer=-2,
    ),
    "mistral3-growing-tied": mistral3(
        {"patch_size": 6, "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0}}, 60,
        "Ministral3", spatial_merge_size=1, vision_feature_layer=2,
        text_config={"rope_parameters": {
            "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "llama_4_scaling_beta": 0.3,
            "original_max_position_embeddings": 16}},
    ),
    "qwen3-vl": qwen_vl(
        "Qwen3VL",
        DEEP | {"patch_size": 16, "num_position_embeddings": 16,
                "deepstack_visual_indexes": [0, 2]},
        [2, 1, 1], tie_word_embeddings=True, head_dim=8,
    ),
    "qwen3-vl-every-layer": qwen_vl(
        "Qwen3VL",
        DEEP | {"patch_size": 5, "num_position_embeddings": 49,
                "deepstack_visual_indexes": [2, 0, 1]},
        [4, 2, 2], head_dim=16, attention_bias=True,
    ),
    "qwen3-vl-one-place": qwen_vl(
        "Qwen3VL",
        DEEP | {"patch_size": 8, "num_position_embeddings": 1, "deepstack_visual_indexes": []},
        [3, 3, 2], head_dim=16, num_key_value_heads=1, tied=True,
    ),
    "idefics3": tiles("Idefics3", {"image_size": 28, "patch_size": 7}, 2, 56),
    "idefics3-whole": tiles(
        "Idefics3", {"image_size": 50, "patch_size": 2, "hidden_size": 24}, 5, 60, split=False,
        attention_bias=True, mlp_bias=True,
    ),
    "idefics3-tied": tiles(
        "Idefics3", {"image_size": 24, "patch_size": 8}, 1, 48, tied=True,
        num_key_value_heads=1, head_dim=12,
    ),
    "smolvlm": tiles("SmolVLM", {"image_size": 38, "patch_size": 9}, 4, 76),
    "smolvlm-one-tile": tiles("SmolVLM", {"image_size": 32, "patch_size": 4}, 2, 32),
    "smolvlm-odd-tile": tiles(
        "SmolVLM", {"image_size": 29, "patch_size": 2, "intermediate_size": 40}, 7, 59, tile=28,
        tie_word_embeddings=True,
    ),
}  # fmt: skip
