"""Llama 4 with images: its language model, and an encoder of square tiles."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from tramontane.blocks import Linear, MediaLM
from tramontane.checkpoint.rules import TEXT_PART, Rename, Rule

from .llama4 import WEIGHTS, Llama4
from .llama4_config import Llama4Config
from .llama4_tower import Llama4Tower, Llama4TowerConfig


class Llama4VisionConfig(Llama4Config):
    """vision_config: None where a checkpoint is of the language model alone."""

    vision_config: Llama4TowerConfig | None = None


class Llama4Projector(nn.Module):
    """(rows, vision_output_dim) -> (rows, hidden). Tensor: linear_1."""

    def __init__(self, wide: int, hidden: int) -> None:
        super().__init__()
        self.linear_1 = Linear(wide, hidden)


class Llama4Vision(MediaLM, Llama4):
    def __init__(self, cfg: Llama4VisionConfig) -> None:
        super().__init__(cfg)
        if cfg.vision_config is not None:
            self.vision_model = Llama4Tower(cfg.vision_config)
            wide = cfg.vision_config.vision_output_dim
            self.multi_modal_projector = Llama4Projector(wide, cfg.hidden_size)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        rows = []
        for tile in arrays["tiles"]:
            for x in self.vision_model.steps(tile):
                if x is not None:
                    rows.append(self.multi_modal_projector.linear_1(x))
                yield None
        yield torch.cat(rows)


KEPT: list[Rule] = [
    Rename("model.vision_model.*", "vision_model.*"),
    Rename("model.multi_modal_projector.*", "multi_modal_projector.*"),
    Rename("model.language_model.*", "model.*"),
    Rename("language_model.*", "*"),
]


def weights(cfg: Llama4VisionConfig) -> dict[str, list[Rule]]:
    """The encoder is left out where the configuration says nothing of it."""
    if cfg.vision_config is None:
        return WEIGHTS
    text = [rule for rule in WEIGHTS["hf"] if rule not in TEXT_PART]
    return {"hf": [*KEPT, *text]}
