"""The parts that decoder models are made of: all that a model's author imports."""

from .activation import ACTIVATIONS, ClampedSwiGLU, Gelu
from .alibi import alibi_slopes
from .attention import Attention, SharedAttention
from .causal_lm import CausalLM, LayerOf, MediaLM, PositionedLM
from .cross import CrossAttention
from .delta_net import GatedDeltaNet
from .embedding import Embedding
from .latent import LatentAttention, latent_scale
from .layer import (
    MixerLayer,
    ParallelLayer,
    ParallelNormsLayer,
    PostNormLayer,
    PreNormLayer,
    SandwichNormLayer,
    ScaledLayer,
)
from .lengths import Lengths
from .linear import Linear
from .mamba import Mamba
from .mamba2 import Mamba2
from .mlp import MLP, GatedMLP
from .moe import Experts, SparseMoE, WeighedInputMoE, balanced_moe
from .next_token import NextToken, NextTokenHead, next_layer
from .norm import HeadNorm, LayerNorm, RMSNorm, layer_norm, rms_norm
from .recurrent import DeltaRule, GeneralizedDeltaRule, SelectiveScan, ShortConv, TokenShift
from .rope import Rope, SectionedRope, rope_for
from .routing import BiasedRouter, GroupedRouter, Router
from .stacked import StackedLinear
from .task_model import TaskModel
from .text_encoder import PostNormTextLayer, TextEncoder, TextLayer, TokenTexts

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Attention",
    "BiasedRouter",
    "CausalLM",
    "ClampedSwiGLU",
    "CrossAttention",
    "DeltaRule",
    "Embedding",
    "Experts",
    "GatedDeltaNet",
    "GatedMLP",
    "Gelu",
    "GeneralizedDeltaRule",
    "GroupedRouter",
    "HeadNorm",
    "LatentAttention",
    "LayerNorm",
    "LayerOf",
    "Lengths",
    "Linear",
    "Mamba",
    "Mamba2",
    "MediaLM",
    "MixerLayer",
    "NextToken",
    "NextTokenHead",
    "ParallelLayer",
    "ParallelNormsLayer",
    "PositionedLM",
    "PostNormLayer",
    "PostNormTextLayer",
    "PreNormLayer",
    "RMSNorm",
    "Rope",
    "Router",
    "SandwichNormLayer",
    "ScaledLayer",
    "SectionedRope",
    "SelectiveScan",
    "SharedAttention",
    "ShortConv",
    "SparseMoE",
    "StackedLinear",
    "TaskModel",
    "TextEncoder",
    "TextLayer",
    "TokenShift",
    "TokenTexts",
    "WeighedInputMoE",
    "alibi_slopes",
    "balanced_moe",
    "latent_scale",
    "layer_norm",
    "next_layer",
    "rms_norm",
    "rope_for",
]
