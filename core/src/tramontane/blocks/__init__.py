"""The parts that decoder models are made of: all that a model's author imports."""

from .attention import Attention
from .causal_lm import CausalLM
from .embedding import Embedding
from .layer import PreNormLayer
from .linear import Linear
from .mlp import GatedMLP
from .norm import RMSNorm
from .rope import Rope, rope_for

__all__ = [
    "Attention",
    "CausalLM",
    "Embedding",
    "GatedMLP",
    "Linear",
    "PreNormLayer",
    "RMSNorm",
    "Rope",
    "rope_for",
]
