"""Gemma 3n with images: transformers' parts behind an encoder of ours, which is compared with
timm's numbers in arch/gemma/tests/test_gemma3n_vision.py."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tramontane.blocks.vision import at_once
from tramontane_arch_gemma.gemma3n_vision import MobileNet, MobileNetConfig
from transformers.models.gemma3n import modeling_gemma3n as parts

from .folders import TEXT, Vision
from .gemma3n import Output


class Gemma3nEyes(torch.nn.Module):
    """What `Gemma3nForConditionalGeneration` does with one prompt. rows: of an image. end: the id
    of the token behind it, which stands in a prompt as one more row."""

    def __init__(self, text: dict[str, Any], vision: dict[str, Any], rows: int, end: int) -> None:
        super().__init__()
        self.text, self.rows, self.end = transformers.Gemma3nTextConfig(**text), rows, end
        self.vision = MobileNetConfig(**vision)
        self.lm = transformers.Gemma3nForCausalLM(self.text)
        self.tower = MobileNet(self.vision, int(rows**0.5))
        for parameter in self.tower.parameters():  # ours are empty until they are read
            torch.nn.init.ones_(parameter)
        told: Any = SimpleNamespace(**self.vision.model_dump())
        self.embedder = parts.Gemma3nMultimodalEmbedder(told, self.text)

    def save_pretrained(self, folder: Path) -> None:
        """As the whole class does. The encoder's own tokens are never likely: what follows one in a
        text is not compared."""
        with torch.no_grad():
            self.lm.model.embed_tokens.weight[self.vision.vocab_offset :] = 0
        outer = {"model.vision_tower.timm_model": self.tower, "model.embed_vision": self.embedder,
                 "model.language_model": self.lm.model}  # fmt: skip
        tensors = {
            f"{prefix}.{name}": tensor.contiguous().clone()
            for prefix, module in outer.items()
            for name, tensor in module.state_dict().items()
        }
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        config = {
            "architectures": ["Gemma3nForConditionalGeneration"], "model_type": "gemma3n",
            "text_config": self.text.to_dict(), "vision_config": self.vision.model_dump(),
            "audio_config": {"model_type": "gemma3n_audio"}, "eoi_token_id": self.end,
            "vision_soft_tokens_per_image": self.rows,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))

    def forward(self, input_ids: torch.Tensor, pixels: list[torch.Tensor], row: int) -> Output:
        """pixels: (3, height, width) of each image."""
        ids = input_ids.clone()
        places = (ids[0] == row).nonzero()[:, 0].split(self.rows + 1)
        for each in places:
            ids[0, each[-1]] = self.end
        x = self.lm.model.embed_tokens(ids)
        own = self.lm.model.get_per_layer_inputs(ids)
        offset = self.vision.vocab_offset
        hard = self.embedder(input_ids=torch.where(ids >= offset, ids, offset))
        x = torch.where((ids >= offset)[..., None], hard, x)
        for each, picture in zip(places, pixels, strict=True):
            seen = at_once(self.tower.parts(picture)) * self.vision.hidden_size**0.5
            x[0, each[:-1]] = self.embedder(inputs_embeds=seen)
        out = self.lm.model(inputs_embeds=x, per_layer_inputs=own, use_cache=False)
        logits = self.lm.lm_head(out.last_hidden_state)
        cap = self.text.final_logit_softcapping
        return Output(torch.tanh(logits / cap) * cap)


def gemma3n(rows: int, vision: dict[str, Any], *, normal: bool = False, **text: Any) -> Vision:
    special = ("<start_of_image>", "<end_of_image>", "<image_soft_token>", "<v2>")
    first = 256 + 4 + 1  # bytes, those of every tokenizer here, and one of the language model
    told = {
        "vocab_size": 3, "vocab_offset": first, "hidden_size": 24, "image_size": 64,
        "stem_channels": 4, "stage_channels": (6, 8, 10, 12), "edges": 2, "inverted": (3, 2),
        "attentions": (1, 1), "heads": (2, 3), "head_dims": (4, 6),
    } | vision  # fmt: skip

    def make(ids: dict[str, int]) -> Any:
        own = TEXT | {
            "vocab_size": first + 3, "vocab_size_per_layer_input": first, "head_dim": 8,
            "num_hidden_layers": 4, "intermediate_size": [48] * 4, "sliding_window": 16,
            "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 2, "laurel_rank": 4,
            "altup_num_inputs": 2, "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        } | text  # fmt: skip
        return Gemma3nEyes(own, told, rows, ids[special[1]])

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        pixels = [torch.from_numpy(item.arrays["pixels"]) for item in items]
        return {"pixels": pixels, "row": row}

    size = {"height": told["image_size"], "width": told["image_size"]}
    return Vision(
        "gemma3n", special, special[0], make, inputs, special[2],
        {"size": size, "resample": 2, "do_normalize": normal},
    )  # fmt: skip


SEEING: dict[str, Vision] = {
    "gemma3n-images": gemma3n(4, {}),
    "gemma3n-images-one-row": gemma3n(
        1, {"image_size": 32, "hidden_size": 40, "inverted": (1, 1), "attentions": (2, 3)},
        normal=True, altup_num_inputs=3, num_key_value_heads=1,
    ),
    "gemma3n-images-odd-square": gemma3n(
        9, {"image_size": 96, "stem_channels": 3, "stage_channels": (5, 7, 9, 11), "edges": 1},
    ),
}  # fmt: skip
