"""Tiny random checkpoints of models that take videos as frames one by one; see `folders`."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from tramontane import LLM
from tramontane.media.decode import prepared
from tramontane.media.item import MediaItem
from tramontane.media.processor import Given

from .folders import TEXT, Vision, picture, tiles


def moving(count: int, height: int, width: int, seed: int = 0) -> Any:
    """Frames of a video, (count, height, width, 3)."""
    return np.stack([picture(height, width, seed + frame) for frame in range(count)])


def watched(llm: LLM, vision: Vision) -> list[MediaItem]:
    """Three videos as a family's encoder takes them."""
    kinds = llm.inner.processors
    return [
        prepared(Given(moving(count, *size, count), rate), "v", kinds["video"])
        for count, size, rate in ((2, (40, 70), 1.5), (5, (70, 33), 2.0), (1, (33, 33), 24.0))
    ]


def smolvlm(vision: dict[str, Any], scale: int, longest: int, **text: Any) -> Vision:
    made = tiles("SmolVLM", vision, scale, longest, **text)
    side = vision["image_size"]
    sampling = {"fps": 1, "max_frames": 4, "video_size": {"longest_edge": side}}
    return replace(made, mark="<video>", processor=made.processor | {"video_sampling": sampling})


def seen(images: list[Any]) -> dict[str, Any]:
    """What transformers' models take of images' arrays."""
    if "whole" in images[0]:
        whole = torch.stack([torch.from_numpy(each["whole"])[None] for each in images])
        sizes = [list(each["whole"].shape[1:]) for each in images]
        count = torch.tensor([len(images)])
        return {
            "pixel_values": whole, "image_sizes": torch.tensor(sizes), "batch_num_images": count
        }  # fmt: skip
    pixels = [torch.from_numpy(each["pixels"]) for each in images]
    sizes = [each["size"].tolist() for each in images]
    padded = torch.nn.utils.rnn.pad_sequence(pixels, batch_first=True)
    return {"pixel_values": padded, "image_sizes": torch.tensor(sizes)}


def llava(kind: str, vision: dict[str, Any], text: str, **outer: Any) -> Vision:
    told = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4,
    } | vision  # fmt: skip
    side = int(told["image_size"])
    clip = kind == "LlavaNextVideo"
    made: list[Any] = []

    def make(ids: dict[str, int]) -> Any:
        texts = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}
        more = outer.get("text_config", {})
        eyes = (
            transformers.CLIPVisionConfig(projection_dim=32, **told)
            if clip
            else transformers.SiglipVisionConfig(vision_use_head=False, **told)
        )
        config = getattr(transformers, f"{kind}Config")(
            vision_config=eyes, text_config=texts[text](**TEXT | more),
            image_token_index=ids["<image>"], video_token_index=ids["<video>"],
            **{name: value for name, value in outer.items() if name != "text_config"},
        )  # fmt: skip
        made.append(getattr(transformers, f"{kind}ForConditionalGeneration")(config))
        return made[-1]

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        """Each video by itself, as transformers takes only videos of equal length together."""
        found: dict[str, Any] = {}
        images = [item.arrays for item in items if item.kind == "image"]
        videos = [torch.from_numpy(i.arrays["frames"]) for i in items if i.kind == "video"]
        with torch.no_grad():
            if images:
                found["image"] = made[-1].model.get_image_features(**seen(images))
            if videos:
                features = [made[-1].model.get_video_features(each[None]) for each in videos]
                pooled = torch.cat([each.pooler_output for each in features], 1)
                found["video"] = SimpleNamespace(pooler_output=pooled)
        return {"mm_encoder_outputs": found}

    size = (
        {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
        if clip
        else {"size": {"height": side, "width": side}}
    )
    more = {"image_grid_pinpoints": outer["image_grid_pinpoints"], "do_pad": True}
    return Vision(kind, ("<image>", "<video>"), "<video>", make, inputs, "<video>", size | more)


POINTS = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
WATCHING: dict[str, Vision] = {
    "smolvlm-videos": smolvlm({"image_size": 32, "patch_size": 4}, 2, 64),
    "smolvlm-videos-tied": smolvlm(
        {"image_size": 28, "patch_size": 7, "hidden_size": 24}, 4, 28, tied=True
    ),
    "llava-next-video": llava(
        "LlavaNextVideo", {"image_size": 28, "patch_size": 7}, "llama",
        image_grid_pinpoints=POINTS,
    ),
    "llava-next-video-largest-of-three": llava(
        "LlavaNextVideo", {"image_size": 28, "patch_size": 4}, "llama",
        image_grid_pinpoints=POINTS, spatial_pool_mode="max", spatial_pool_stride=3,
        vision_feature_layer=[-2, 1], text_config={"max_position_embeddings": 1024},
    ),
    "llava-onevision": llava(
        "LlavaOnevision", {"image_size": 28, "patch_size": 7}, "qwen2",
        image_grid_pinpoints=POINTS,
    ),
    "llava-onevision-odd-patches": llava(
        "LlavaOnevision", {"image_size": 28, "patch_size": 5, "num_attention_heads": 2}, "qwen2",
        image_grid_pinpoints=POINTS, vision_aspect_ratio="anyres_max_1", vision_feature_layer=-2,
        tie_word_embeddings=True, text_config={"tie_word_embeddings": True},
    ),
}  # fmt: skip
"""Every configuration of these families, asked about videos."""
GLANCING = {
    f"{name}-images": replace(vision, mark="<image>", row="<image>")
    for name, vision in WATCHING.items()
    if name.startswith("llava")
}
"""The same asked about images, where these are not another family's."""
