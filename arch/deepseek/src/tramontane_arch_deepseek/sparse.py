"""DeepSeek V3.2: V3 with an indexer, which chooses the `index_topk` tokens that a token attends to.

A token that sees no more than index_topk tokens attends to all of them, whatever the indexer says.
So contexts up to that length are V3's, without the indexer; longer ones are refused.
"""

from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field
from tramontane.config import ContextLimit

from .model import DeepseekV3Config


class DeepseekV32Config(DeepseekV3Config):
    q_lora_rank: int = Field(default=1536, gt=0)
    rope_interleave: Literal[True] = True
    mlp_layer_types: tuple[Literal["dense", "sparse"], ...]
    index_topk: int = Field(default=2048, gt=0)
    absent = MappingProxyType({"max_position_embeddings": 163_840})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        layers, dense = values.get("num_hidden_layers"), values.get("first_k_dense_replace", 3)
        if isinstance(layers, int) and isinstance(dense, int):
            kinds = ["dense" if index < dense else "sparse" for index in range(min(layers, 4096))]
            kinds = values.setdefault("mlp_layer_types", kinds)
            if isinstance(kinds, (list, tuple)) and len(kinds) != layers:
                raise ValueError(f"mlp_layer_types has {len(kinds)} entries for {layers} layers")

    def is_dense(self, index: int) -> bool:
        return self.mlp_layer_types[index] == "dense"

    @property
    def context_limit(self) -> ContextLimit:
        return ContextLimit.of_index(self.index_topk)
