"""A model whose tokens see the whole batch, and which wants a tensor that its rules skip."""

from typing import Any

from torch import Tensor
from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Skip


class CarelessLayer(PreNormLayer):
    def __init__(self, cfg: Any, index: int) -> None:
        super().__init__(cfg, Attention(cfg, index, rope=rope_for(cfg)), GatedMLP(cfg))

    def forward(self, x: Tensor, batch: Any) -> Tensor:
        return super().forward(x - x.mean(0), batch)


class Careless(CausalLM):
    Layer = CarelessLayer


WEIGHTS = {"gguf": [Skip("*.up_proj")]}
