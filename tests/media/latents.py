"""Tiny random checkpoints of families whose images become a fixed number of rows, or that come
without a class of transformers."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from .folders import FAMILIES, TEXT, Vision
from .gemma3n_images import SEEING
from .phi4 import images, model
from .plain_ears import MiniCpmEars
from .plain_eyes import MiniCpmEyes, Phi3V
from .tiled import TILED
from .watching import GLANCING


def idefics2(
    vision: dict[str, Any], perceiver: dict[str, Any], size: dict[str, int], *,
    split: bool = False, tied: bool = False, **text: Any,
) -> Vision:  # fmt: skip
    def make(ids: dict[str, int]) -> Any:
        config = transformers.Idefics2Config(
            vision_config={"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                           "num_attention_heads": 4} | vision,
            perceiver_config={"resampler_depth": 2, "resampler_n_heads": 4,
                              "resampler_head_dim": 8, "num_key_value_heads": 2} | perceiver,
            text_config={"model_type": "mistral", "sliding_window": 4096} | TEXT | text,
            tie_word_embeddings=tied, image_token_id=ids["<image>"],
        )  # fmt: skip
        return transformers.Idefics2ForConditionalGeneration(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        parts = [torch.from_numpy(item.arrays[name]) for item in items for name in item.arrays]
        sides = [max(part.shape[side] for part in parts) for side in (1, 2)]
        pixels, seen = torch.zeros(len(parts), 3, *sides), torch.zeros(len(parts), *sides)
        for place, mask, part in zip(pixels, seen, parts, strict=True):
            place[:, : part.shape[1], : part.shape[2]] = part
            mask[: part.shape[1], : part.shape[2]] = 1
        return {"pixel_values": pixels[None], "pixel_attention_mask": seen[None].long()}

    return Vision(
        "idefics2", ("<fake_token_around_image>", "<image>"), "<image>", make, inputs, "<image>",
        {"size": size, "do_image_splitting": split},
    )  # fmt: skip


def phi3_vision(vision: dict[str, Any], crops: int, layer: int = -2, **text: Any) -> Vision:
    told = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4,
    } | vision  # fmt: skip

    def make(ids: dict[str, int]) -> Any:
        return Phi3V(TEXT | text, told, layer, ids["<|image|>"])

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        found = [item.arrays for item in items]
        pixels = [torch.from_numpy(each["pixels"]) for each in found]
        grids = [each["grid"].tolist() for each in found]
        return {"images": list(zip(pixels, grids, strict=True))}

    special = ("<|image|>",)
    return Vision("phi3_v", special, special[0], make, inputs, special[0], {"num_crops": crops})


def minicpm(
    vision: dict[str, Any], queries: int, settings: dict[str, Any], *, drop: bool = False,
    outer: dict[str, Any] | None = None, audio: dict[str, Any] | None = None, **text: Any,
) -> Vision:  # fmt: skip
    told = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4,
    } | vision  # fmt: skip
    kind = outer or {"architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": 2.6}

    def make(ids: dict[str, int]) -> Any:
        words = TEXT | {"hidden_size": 128} | text
        settings = {"drop": drop, "row": ids["<unk>"], "outer": kind}
        if audio:
            return MiniCpmEars(words, told, queries, audio, **settings)
        return MiniCpmEyes(words, told, queries, **settings)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        found = [item.arrays for item in items]
        pictures = [[torch.from_numpy(each["source"]), *map(torch.from_numpy, each["slices"])]
                    for each in found]  # fmt: skip
        return {"images": pictures}

    special = tuple(
        f"<{end}{name}>" for name in ("image", "slice", "image_id") for end in ("", "/")
    )
    processor = {
        "image_feature_size": queries, "patch_size": told["patch_size"], "use_image_id": True,
    } | settings  # fmt: skip
    mark = "(<image>./</image>)"
    ends = ("<|audio_start|>", "<|audio_end|>") if audio else ()
    return Vision("minicpm", (*special, *ends), mark, make, inputs, "<unk>", processor)


def phi4(
    vision: dict[str, Any], ranks: tuple[int, ...], most: int = 36, *, folders: bool = False,
    **text: Any,
) -> Vision:  # fmt: skip
    patch = vision.get("patch_size", 14)
    side = vision.get("image_size", 56)

    def make(ids: dict[str, int]) -> Any:
        own = vision | {"crop_size": side, "patch_size": patch}
        made = model(TEXT | text, own, {}, ids, ranks, folders=folders)
        made.config.image_token_id = ids["<|endoftext10|>"]
        return made

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        return images(items, patch)

    special = ("<|endoftext10|>", "<|endoftext11|>")
    size = {"size": {"height": side, "width": side}, "patch_size": patch}
    return Vision(
        "phi4", special, "<|image|>", make, inputs, special[0], size | {"dynamic_hd": most}
    )


OMNI = {"architectures": ["MiniCPMO"], "model_type": "minicpmo", "version": "2.6"}
EARS = {
    "d_model": 32, "encoder_ffn_dim": 48, "encoder_layers": 2, "encoder_attention_heads": 4,
    "num_mel_bins": 20, "max_source_positions": 100,
}  # fmt: skip
SU = {"type": "su", "short_factor": [1.1, 1.0, 1.4, 2.0], "long_factor": [1.5, 4.0, 9.0, 20.0]}
LATENTS: dict[str, Vision] = {
    "idefics2": idefics2(
        {"image_size": 98, "patch_size": 14}, {"hidden_size": 32, "resampler_n_latents": 8},
        {"shortest_edge": 42, "longest_edge": 98},
    ),
    "idefics2-quarters": idefics2(
        {"image_size": 50, "patch_size": 2, "hidden_size": 24},
        {"resampler_n_latents": 3, "resampler_head_dim": 6, "num_key_value_heads": 1},
        {"shortest_edge": 7, "longest_edge": 29}, split=True, rms_norm_eps=1e-4, sliding_window=9,
    ),
    "idefics2-squeezed-tied": idefics2(
        {"image_size": 30, "patch_size": 5, "hidden_act": "gelu"},
        {"hidden_size": 32, "resampler_n_latents": 1, "resampler_depth": 1, "hidden_act": "gelu",
         "rms_norm_eps": 1e-3},
        {"height": 33, "width": 41}, tied=True, head_dim=12, num_key_value_heads=1,
    ),
    "phi3-vision": phi3_vision({"image_size": 28, "patch_size": 7}, 4),
    "phi3-vision-long": phi3_vision(
        {"image_size": 24, "patch_size": 4, "hidden_size": 24, "num_attention_heads": 2}, 7, -1,
        rope_scaling=SU, original_max_position_embeddings=64, num_key_value_heads=4,
    ),
    "phi3-vision-one-square": phi3_vision(
        {"image_size": 16, "patch_size": 8}, 1, 1, tie_word_embeddings=True, sliding_window=9,
    ),
    "phi4-multimodal": phi4({}, (4, 6), tie_word_embeddings=True, sliding_window=9999),
    "phi4-multimodal-folders": phi4(
        {"image_size": 30, "patch_size": 5, "hidden_size": 24, "num_attention_heads": 2,
         "feature_layer": 1}, (3, 5), 4, folders=True, sliding_window=9,
        rope_parameters={"rope_type": "longrope", "rope_theta": 1e4, "factor": 8.0,
                         "partial_rotary_factor": 0.5,
                         "short_factor": [1.1, 1.4], "long_factor": [1.5, 9.0]},
        original_max_position_embeddings=64,
    ),
    "phi4-multimodal-saved": phi4({"image_size": 28, "patch_size": 14}, (), 7),
    "minicpm-v": minicpm({"image_size": 98, "patch_size": 14}, 4, {"scale_resolution": 70}),
    "minicpm-v-dropped": minicpm(
        {"image_size": 50, "patch_size": 5, "hidden_size": 128, "num_hidden_layers": 3}, 3,
        {"scale_resolution": 35, "max_slice_nums": 4, "use_image_id": False}, drop=True,
        hidden_size=256,
    ),
    "minicpm-o": minicpm(
        {"image_size": 32, "patch_size": 8}, 1, {"scale_resolution": 64, "max_slice_nums": 1},
        tie_word_embeddings=True, outer=OMNI, audio=EARS,
    ),
}  # fmt: skip
ALL: dict[str, Vision] = FAMILIES | TILED | LATENTS | SEEING | GLANCING
"""Every configuration of the families that take images."""
