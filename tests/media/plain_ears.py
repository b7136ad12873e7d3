"""MiniCPM-o 2.6 in plain torch: what hears, of layers of transformers' Whisper, beside what sees.

Written from the checkpoints' code as it is published; nothing of Tramontane is in it. A sound is
encoded by itself, piece by piece.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

from .plain_eyes import MiniCpmEyes


class MiniCpmEars(MiniCpmEyes):
    """A sound: its pieces, (bands, frames) each."""

    def __init__(self, text: dict[str, Any], vision: dict[str, Any], queries: int, audio: Any,
                 *, outer: dict[str, Any], **more: Any) -> None:  # fmt: skip
        super().__init__(text, vision, queries, outer=outer | {"audio_config": audio}, **more)
        encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder
        self.apm = encoder(transformers.WhisperConfig(**audio))
        hidden = text["hidden_size"]
        self.audio_projection_layer = nn.ModuleDict(
            {"linear1": nn.Linear(audio["d_model"], hidden), "linear2": nn.Linear(hidden, hidden)}
        )
        self.tts = nn.Linear(4, 2)  # what speaks, which must not disturb

    def names(self) -> dict[str, str]:
        own = ("apm.", "audio_projection_layer.", "tts.")
        return super().names() | {name: name for name in own}

    def forward(self, input_ids: Tensor, images: Any = (), sounds: Any = ()) -> Any:
        if images:
            return super().forward(input_ids, images)
        x = self.language.get_input_embeddings()(input_ids).clone()
        rows = torch.cat([self.heard(piece) for sound in sounds for piece in sound])
        x[input_ids == self.config.image_token_id] = rows
        return self.language(inputs_embeds=x)

    def heard(self, features: Tensor) -> Tensor:
        x = F.gelu(self.apm.conv2(F.gelu(self.apm.conv1(features[None])))).mT
        count = x.shape[1]
        x = x + self.apm.embed_positions.weight[:count]
        chunk = int(self.published.get("audio_chunk_length", 1.0) * 50)
        chunks = torch.arange(count) // chunk if chunk > 0 else torch.zeros(count)
        mask = torch.zeros(count, count).masked_fill(chunks[None] > chunks[:, None], -torch.inf)
        for layer in self.apm.layers:
            out = layer(x, mask[None, None])
            x = out[0] if isinstance(out, tuple) else out
        first, second = self.audio_projection_layer.values()
        x = second(F.relu(first(self.apm.layer_norm(x))))
        pool = self.published.get("audio_pool_step", 2)
        rows: Tensor = F.avg_pool1d(x.mT, pool)[0].mT
        return rows
