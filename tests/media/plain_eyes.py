"""Families that come without a class of transformers, in plain torch around its language models and
towers: what the checkpoints' own code computes, in other words.

Written from that code as it is published; nothing of Tramontane is in it. Each image is encoded by
itself, line by line.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import safetensors.torch
import torch
import transformers
from torch import Tensor, nn


class PlainEyes(nn.Module):
    """language: a causal language model of transformers. published: config.json."""

    def __init__(self, language: Any, published: dict[str, Any], row: int) -> None:
        super().__init__()
        self.language, self.published = language, published
        self.config = SimpleNamespace(image_token_id=row)
        self.seen: dict[int, Tensor] = {}

    def rows_of(self, image: Any) -> Tensor:
        raise NotImplementedError

    def known(self, image: Any) -> Tensor:
        """An image is encoded once, however often it is asked about."""
        key = image[0].data_ptr()
        if key not in self.seen:
            self.seen[key] = self.rows_of(image)
        return self.seen[key]

    def forward(self, input_ids: Tensor, images: list[Any]) -> Any:
        x = self.language.get_input_embeddings()(input_ids).clone()
        rows = torch.cat([self.known(image) for image in images])
        x[input_ids == self.config.image_token_id] = rows
        return self.language(inputs_embeds=x)

    def names(self) -> dict[str, str]:
        """The beginnings of this module's tensors' names, and of the checkpoint's."""
        raise NotImplementedError

    def save_pretrained(self, folder: Path) -> None:
        tensors = {}
        for name, tensor in self.state_dict().items():
            begin = next(each for each in self.names() if name.startswith(each))
            rest = name.removeprefix(begin).removeprefix("vision_model.")
            tensors[self.names()[begin] + rest] = tensor.clone()
        safetensors.torch.save_file(tensors, str(folder / "model.safetensors"))
        (folder / "config.json").write_text(json.dumps(self.published))


class Phi3V(PlainEyes):
    """image: (1 + squares, 3, side, side) and (down, across)."""

    def __init__(self, text: dict[str, Any], vision: dict[str, Any], layer: int, row: int) -> None:
        extra = dict(text)
        scaling = extra.pop("rope_scaling", None)
        if scaling is not None:
            start = extra.get("original_max_position_embeddings", 4096)
            extra["rope_parameters"] = {
                "rope_type": "longrope", "rope_theta": 10000.0,
                "short_factor": scaling["short_factor"], "long_factor": scaling["long_factor"],
                "original_max_position_embeddings": start,
                "factor": extra["max_position_embeddings"] / start,
            }  # fmt: skip
        language = transformers.Phi3ForCausalLM(transformers.Phi3Config(**extra))
        wide, side = vision["hidden_size"], vision["image_size"] // vision["patch_size"]
        published = text | {
            "architectures": ["Phi3VForCausalLM"], "model_type": "phi3_v", "vision_config": vision,
            "img_processor": {
                "name": "clip_vision_model", "model_name": "openai/clip-vit-large-patch14-336",
                "image_dim_out": wide, "num_img_tokens": (side // 2) ** 2, "layer_idx": layer,
            },
            "embd_layer": {
                "embedding_cls": "image", "hd_transform_order": "sub_glb",
                "projection_cls": "mlp", "use_hd_transform": True,
                "with_learnable_separator": True,
            },
        }  # fmt: skip
        super().__init__(language, published, row)
        self.layer, self.side = layer, side
        self.tower = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**vision))
        self.glb_GN = nn.Parameter(torch.zeros(1, 1, 4 * wide))
        self.sub_GN = nn.Parameter(torch.zeros(1, 1, 1, 4 * wide))
        hidden = text["hidden_size"]
        self.img_projection = nn.Sequential(
            nn.Linear(4 * wide, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )

    def names(self) -> dict[str, str]:
        sees = "model.vision_embed_tokens."
        return {
            "language.": "", "tower.": f"{sees}img_processor.vision_model.",
            "img_projection": f"{sees}img_projection", "glb_GN": f"{sees}glb_GN",
            "sub_GN": f"{sees}sub_GN",
        }  # fmt: skip

    def rows_of(self, image: Any) -> Tensor:
        pixels, (down, across) = image
        squares = [
            self.tower(square[None], output_hidden_states=True).hidden_states[self.layer][0, 1:]
            for square in pixels
        ]
        grid = [squares[1 + line * across : 1 + (line + 1) * across] for line in range(down)]
        rows = [*self.lines(grid), self.glb_GN.flatten(), *self.lines([squares[:1]])]
        out: Tensor = self.img_projection(torch.stack(rows))
        return out

    def lines(self, grid: list[list[Tensor]]) -> list[Tensor]:
        """2 x 2 patches, one beside the other; a line goes through all squares of its height."""
        rows = []
        for across in grid:
            for y in range(0, self.side, 2):
                for square in across:
                    plane = square.unflatten(0, (self.side, self.side))
                    rows += [
                        torch.cat(
                            (plane[y, x], plane[y, x + 1], plane[y + 1, x], plane[y + 1, x + 1])
                        )
                        for x in range(0, self.side, 2)
                    ]
                rows.append(self.sub_GN.flatten())
        return rows


class MiniCpmEyes(PlainEyes):
    """image: a list of pictures, each (3, height, width), first the whole one."""

    def __init__(
        self, text: dict[str, Any], vision: dict[str, Any], queries: int, *, drop: bool, row: int,
        outer: dict[str, Any],
    ) -> None:  # fmt: skip
        language = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**text))
        published = text | outer | {
            "vision_config": vision, "query_num": queries, "drop_vision_last_layer": drop,
        }  # fmt: skip
        super().__init__(language, published, row)
        settings = transformers.SiglipVisionConfig(**vision, vision_use_head=False)
        tower = transformers.SiglipVisionModel(settings)
        self.tower: Any = getattr(tower, "vision_model", tower)
        self.side, self.patch, self.drop = (
            vision["image_size"] // vision["patch_size"], vision["patch_size"], drop,
        )  # fmt: skip
        hidden, seen = text["hidden_size"], vision["hidden_size"]
        self.resampler = nn.ModuleDict(
            {"attn": nn.MultiheadAttention(hidden, hidden // 128)}
            | {name: nn.LayerNorm(hidden, eps=1e-6) for name in ("ln_q", "ln_kv", "ln_post")}
            | ({"kv_proj": nn.Linear(seen, hidden, bias=False)} if seen != hidden else {})
        )
        self.query = nn.Parameter(torch.zeros(queries, hidden))
        self.proj = nn.Parameter(torch.zeros(hidden, hidden))

    def names(self) -> dict[str, str]:
        return {
            "language.": "llm.", "tower.": "vpm.", "resampler.": "resampler.",
            "query": "resampler.query", "proj": "resampler.proj",
        }  # fmt: skip

    def rows_of(self, image: Any) -> Tensor:
        return torch.cat([self.picture(pixels) for pixels in image])

    def picture(self, pixels: Tensor) -> Tensor:
        down, across = (length // self.patch for length in pixels.shape[1:])
        found = self.tower.embeddings.patch_embedding(pixels[None]).flatten(2)[0].T
        places = [y * self.side + x for y in self.buckets(down) for x in self.buckets(across)]
        x = (found + self.tower.embeddings.position_embedding.weight[places])[None]
        layers = self.tower.encoder.layers
        for layer in layers[: len(layers) - self.drop]:
            out = layer(x, attention_mask=None)
            x = out[0] if isinstance(out, tuple) else out
        x = self.tower.post_layernorm(x)[0]
        if "kv_proj" in self.resampler:
            x = self.resampler["kv_proj"](x)
        x = self.resampler["ln_kv"](x)
        keys = x + torch.from_numpy(waves(down, across, x.shape[1]))
        queries = self.resampler["ln_q"](self.query)
        out = self.resampler["attn"](queries[:, None], keys[:, None], x[:, None])[0][:, 0]
        rows: Tensor = self.resampler["ln_post"](out) @ self.proj
        return rows

    def buckets(self, count: int) -> list[int]:
        """Where each of `count` patches falls among `side` positions."""
        edges = torch.arange(1 / self.side, 1.0, 1 / self.side)
        begins = torch.arange(0, 1 - 1e-6, 1 / torch.tensor(count))
        return [int((edges <= begin).sum()) for begin in begins]


def waves(down: int, across: int, width: int) -> Any:
    """(down * across, width): sines and cosines of the column in the first half, of the row in the
    second."""
    quarter = width // 4
    found = np.zeros((down, across, width), np.float32)
    rows, columns = np.mgrid[0:down, 0:across].astype(np.float32)
    for index in range(quarter):
        frequency = np.float32(1) / np.float32(10000) ** (np.float32(index) / np.float32(quarter))
        for start, place in ((0, columns), (width // 2, rows)):
            found[:, :, start + index] = np.sin(place * frequency)
            found[:, :, start + quarter + index] = np.cos(place * frequency)
    return found.reshape(-1, width)
