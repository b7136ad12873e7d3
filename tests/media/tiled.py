"""Tiny random checkpoints of families that cut images in tiles: Llama 4, LFM2-VL, Llama 3.2."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from .folders import TEXT, Vision


def llama4(vision: dict[str, Any], tiles: int, *, largest: bool = False, **text: Any) -> Vision:
    told = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "vision_output_dim": 24, "projector_input_dim": 24, "projector_output_dim": 24,
    } | vision  # fmt: skip
    ratio = float(told.get("pixel_shuffle_ratio", 0.5))
    told["intermediate_size"] = round(told["hidden_size"] / ratio**2)
    side = told["image_size"]

    def make(ids: dict[str, int]) -> Any:
        chunks = {
            "head_dim": 8, "num_hidden_layers": 4, "intermediate_size_mlp": 40,
            "num_local_experts": 4, "interleave_moe_layer_step": 2, "attention_chunk_size": 16,
        }  # fmt: skip
        config = transformers.Llama4Config(
            vision_config=transformers.Llama4VisionConfig(**told),
            text_config=transformers.Llama4TextConfig(**TEXT | chunks | text),
            image_token_index=ids["<|patch|>"],
        )
        return transformers.Llama4ForConditionalGeneration(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        found = [torch.from_numpy(item.arrays["tiles"]) for item in items]
        return {"pixel_values": torch.cat(found)}

    special = (
        "<|image_start|>", "<|image_end|>", "<|image|>", "<|patch|>", "<|tile_x_separator|>",
        "<|tile_y_separator|>",
    )  # fmt: skip
    return Vision(
        "llama4", special, "<|image|>", make, inputs, "<|patch|>",
        {"size": {"height": side, "width": side}, "max_patches": tiles,
         "resize_to_max_canvas": largest},
    )  # fmt: skip


def lfm2_vl(
    vision: dict[str, Any], tile: int, tokens: tuple[int, int], *, scale: int = 2,
    processor: dict[str, Any] | None = None, text: dict[str, Any] | None = None, **outer: Any,
) -> Vision:  # fmt: skip
    told = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "vision_use_head": False,
    } | vision  # fmt: skip
    patch = int(told["patch_size"])
    most = max(tokens[1] * scale**2, (tile // patch) ** 2)

    def make(ids: dict[str, int]) -> Any:
        layers = {"layer_types": ["conv", "full_attention", "conv"], "block_multiple_of": 8}
        config = transformers.Lfm2VlConfig(
            vision_config=transformers.Siglip2VisionConfig(**told),
            text_config=transformers.Lfm2Config(**TEXT | layers | (text or {})),
            image_token_id=ids["<image>"], downsample_factor=scale,
            **{"projector_hidden_size": 40} | outer,
        )  # fmt: skip
        return transformers.Lfm2VlForConditionalGeneration(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        images = [
            torch.from_numpy(image)
            for item in items
            for image in [*item.arrays["tiles"], *([item.arrays["whole"]] if "whole" in item.arrays
                                                   else [])]
        ]  # fmt: skip
        pixels = torch.zeros(len(images), most, 3 * patch**2)
        shapes = torch.tensor([[side // patch for side in image.shape[1:]] for image in images])
        for place, image in zip(pixels, images, strict=True):
            cut = image.unfold(1, patch, patch).unfold(2, patch, patch).permute(1, 2, 3, 4, 0)
            place[: cut.shape[0] * cut.shape[1]] = cut.reshape(-1, 3 * patch**2)
        mask = (torch.arange(most) < shapes.prod(1)[:, None]).int()
        return {"pixel_values": pixels, "spatial_shapes": shapes, "pixel_attention_mask": mask}

    places = [f"<|img_row_{row}_col_{column}|>" for row in range(1, 5) for column in range(1, 5)]
    special = ("<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>", *places)
    return Vision(
        "lfm2-vl", special, "<image>", make, inputs, "<image>",
        {"encoder_patch_size": patch, "downsample_factor": scale, "tile_size": tile,
         "min_image_tokens": tokens[0], "max_image_tokens": tokens[1], "max_tiles": 4}
        | (processor or {}),
    )  # fmt: skip


def mllama(vision: dict[str, Any], cross: list[int], **text: Any) -> Vision:
    told = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_global_layers": 2,
        "attention_heads": 4, "image_size": 28, "patch_size": 7,
        "intermediate_layers_indices": [0, 2],
    } | vision  # fmt: skip
    most = int(told.setdefault("max_num_tiles", 4))
    told["vision_output_dim"] = told["hidden_size"] * (1 + len(told["intermediate_layers_indices"]))
    sides = range(1, most + 1)
    told["supported_aspect_ratios"] = [[a, b] for a in sides for b in sides if a * b <= most]

    def make(ids: dict[str, int]) -> Any:
        config = transformers.MllamaConfig(
            vision_config=told, image_token_index=ids["<|image|>"],
            text_config=TEXT | {
                "num_hidden_layers": 4, "cross_attention_layers": cross,
                "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}} | text,
        )  # fmt: skip
        return seeing_nothing_before(transformers.MllamaForConditionalGeneration(config))

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        module = transformers.models.mllama.processing_mllama
        tiles = [torch.from_numpy(item.arrays["tiles"]) for item in items]
        counts = [len(each) for each in tiles]
        padded = torch.stack([
            torch.nn.functional.pad(each, (0, 0, 0, 0, 0, 0, 0, most - len(each)))
            for each in tiles
        ])  # fmt: skip
        mask = module.convert_sparse_cross_attention_mask_to_dense(
            [module.get_cross_attention_token_mask(ids[0].tolist(), row)], [counts], most,
            ids.shape[1],
        )  # fmt: skip
        return {
            "pixel_values": padded[None], "cross_attention_mask": torch.from_numpy(mask),
            "aspect_ratio_ids": torch.tensor([[int(item.arrays["way"]) for item in items]]),
            "aspect_ratio_mask": torch.tensor(
                [[[int(tile < count) for tile in range(most)] for count in counts]]),
        }  # fmt: skip

    settings = {
        "size": {"height": told["image_size"], "width": told["image_size"]},
        "max_image_tiles": most,
    }  # fmt: skip
    return Vision("mllama", ("<|image|>",), "<|image|>", make, inputs, "<|image|>", settings)


def seeing_nothing_before(model: Any) -> Any:
    """transformers' Mllama with one line more: tokens before the first image see none, as in Meta's
    own code. transformers multiplies what the MLP gives by the mask, and not what the attention
    does, so that they see all images, later ones and empty tiles too."""
    masks: list[torch.Tensor] = []

    def note(module: Any, args: Any, told: dict[str, Any]) -> None:
        masks[:] = [told["full_text_row_masked_out_mask"]]

    def mask(module: Any, args: Any, out: Any) -> Any:
        return (out[0] * masks[0][:, 0], *out[1:])

    for name, parameter in model.named_parameters():
        if "gate" in name and parameter.numel() == 1:
            parameter.data.fill_(1)  # which `write` spreads; they begin as zeros
    for module in model.modules():
        if type(module).__name__ == "MllamaCrossAttentionDecoderLayer":
            module.register_forward_pre_hook(note, with_kwargs=True)
            module.cross_attn.register_forward_hook(mask)
    return model


TILED: dict[str, Vision] = {
    "llama4": llama4({"image_size": 56, "patch_size": 14}, 4),
    "llama4-wide-squares": llama4(
        {"image_size": 33, "patch_size": 5, "hidden_size": 24, "num_attention_heads": 2,
         "pixel_shuffle_ratio": 1 / 3}, 16, moe_layers=[0, 2], no_rope_layers=[0, 1, 1, 0],
    ),
    "llama4-largest-canvas": llama4(
        {"image_size": 24, "patch_size": 8, "pixel_shuffle_ratio": 1.0,
         "rope_parameters": {"rope_type": "axial", "rope_theta": 50.0}}, 3, largest=True,
        interleave_moe_layer_step=1, use_qk_norm=False, floor_scale=4,
    ),
    "lfm2-vl": lfm2_vl({"patch_size": 8, "num_patches": 16}, 32, (2, 8)),
    "lfm2-vl-wide-squares": lfm2_vl(
        {"patch_size": 5, "num_patches": 49, "hidden_size": 24}, 30, (4, 12), scale=3,
        processor={"use_thumbnail": False, "max_pixels_tolerance": 1.0},
        text={"layer_types": ["conv", "conv", "full_attention"], "conv_bias": True,
              "conv_L_cache": 4, "block_auto_adjust_ff_dim": False},
        projector_bias=False, projector_use_layernorm=False, tie_word_embeddings=False,
    ),
    "lfm2-vl-whole": lfm2_vl(
        {"patch_size": 16, "num_patches": 1, "hidden_act": "gelu"}, 64, (1, 6), scale=1,
        processor={"do_image_splitting": False}, projector_hidden_act="gelu_pytorch_tanh",
        text={"layer_types": ["full_attention", "conv", "full_attention"]},
    ),
    "mllama": mllama({}, [1, 3], vocab_size=260),
    "mllama-one-tile": mllama(
        {"max_num_tiles": 1, "image_size": 30, "patch_size": 10, "num_global_layers": 0,
         "intermediate_layers_indices": [-1, 1, 0], "hidden_act": "gelu_new"},
        [0], num_key_value_heads=1,
    ),
    "mllama-six-tiles": mllama(
        {"max_num_tiles": 6, "image_size": 20, "patch_size": 6, "hidden_size": 24,
         "intermediate_layers_indices": [1]},
        [1, 2], num_attention_heads=2, rope_parameters={
            "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 16},
    ),
}  # fmt: skip
