"""Gemma 3n with sounds out of transformers' parts: its whole class needs timm for images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.gemma3n import modeling_gemma3n as parts


class Output:
    """As of transformers."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits


class Gemma3nParts(torch.nn.Module):
    """What `Gemma3nForConditionalGeneration` does with one prompt. rows: of a sound. end: the id of
    the token behind it, which stands in a prompt as one more row."""

    def __init__(self, text: dict[str, Any], audio: dict[str, Any], rows: int, end: int) -> None:
        super().__init__()
        self.text, self.audio = (
            transformers.Gemma3nTextConfig(**text),
            transformers.Gemma3nAudioConfig(**audio),
        )
        self.rows, self.end = rows, end
        self.lm = transformers.Gemma3nForCausalLM(self.text)
        self.tower = parts.Gemma3nAudioEncoder(self.audio)
        self.embedder = parts.Gemma3nMultimodalEmbedder(self.audio, self.text)

    def save_pretrained(self, folder: Path) -> None:
        """As the whole class does."""
        tensors = {f"model.audio_tower.{k}": v for k, v in self.tower.state_dict().items()}
        tensors |= {f"model.embed_audio.{k}": v for k, v in self.embedder.state_dict().items()}
        text = self.lm.model.state_dict().items()
        tensors |= {f"model.language_model.{k}": v for k, v in text}
        tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        config = {
            "architectures": ["Gemma3nForConditionalGeneration"], "model_type": "gemma3n",
            "text_config": self.text.to_dict(), "audio_config": self.audio.to_dict(),
            "vision_config": {"model_type": "gemma3n_vision"}, "eoa_token_id": self.end,
            "audio_soft_tokens_per_image": self.rows,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))

    def forward(self, input_ids: torch.Tensor, features: list[torch.Tensor], row: int) -> Output:
        """features: (frames, bands) of each sound."""
        ids = input_ids.clone()
        places = (ids[0] == row).nonzero()[:, 0].split(self.rows + 1)
        for each in places:
            ids[0, each[-1]] = self.end
        x = self.lm.model.embed_tokens(ids)
        own = self.lm.model.get_per_layer_inputs(ids)
        offset = self.audio.vocab_offset
        hard = self.embedder(input_ids=torch.where(ids >= offset, ids, self.text.vocab_size - 1))
        x = torch.where((ids >= offset)[..., None], hard, x)
        last = self.embedder(input_ids=torch.tensor([[self.text.vocab_size - 1]]))[0]
        for each, sound in zip(places, features, strict=True):
            mask = torch.zeros(1, len(sound), dtype=torch.bool)
            heard = self.embedder(inputs_embeds=self.tower(sound[None], mask).last_hidden_state)[0]
            x[0, each[: len(heard)]] = heard
            x[0, each[len(heard) : -1]] = last
        out = self.lm.model(inputs_embeds=x, per_layer_inputs=own, use_cache=False)
        logits = self.lm.lm_head(out.last_hidden_state)
        cap = self.text.final_logit_softcapping
        return Output(torch.tanh(logits / cap) * cap)
