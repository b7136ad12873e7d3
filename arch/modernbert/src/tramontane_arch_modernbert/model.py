"""ModernBERT (Warner et al. 2024): norms before each half, rotated positions, gated feed-forward
halves; two of three layers see a window."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import AliasChoices, Field
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, GatedMLP, Gelu, LayerNorm, Rope, TextEncoder, TextLayer
from tramontane.blocks.linear import Linear
from tramontane.blocks.text_encoder import SelfAttention
from tramontane.checkpoint.rules import Rename, Rule, Skip, Split
from tramontane.config.encoder import EncoderConfig

KINDS = ("full_attention", "sliding_attention")


class ModernBertConfig(EncoderConfig):
    max_position_embeddings: int = Field(default=8192, gt=0, le=2**20, strict=True)
    hidden_activation: Gelu = "gelu"
    norm_eps: float = Field(default=1e-5, gt=0, le=1)
    local_attention: int = Field(default=128, ge=2, le=2**20, strict=True)
    global_attn_every_n_layers: int = Field(default=3, ge=1, le=1024, strict=True)
    global_rope_theta: float = Field(default=160_000.0, gt=0)
    local_rope_theta: float = Field(default=10_000.0, gt=0)
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] = ()
    attention_bias: Literal[False] = False
    mlp_bias: Literal[False] = False
    norm_bias: Literal[False] = False
    classifier_bias: Literal[False] = False
    classifier_activation: Gelu | Literal["relu", "silu"] = Field(
        default="gelu", validation_alias=AliasChoices("classifier_activation")
    )
    classifier_pooling: Literal["cls", "mean"] = "cls"

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        both = values.get("rope_parameters")
        for kind, field in zip(KINDS, ("global_rope_theta", "local_rope_theta"), strict=True):
            if isinstance(both, dict) and isinstance(one := both.get(kind), dict):
                if one.get("rope_type", "default") != "default":
                    raise ValueError(f"rope_parameters {one!r:.60} is not supported")
                values[field] = one.get("rope_theta", values.get(field, 10_000.0))
        if not values.get("layer_types"):
            every = values.get("global_attn_every_n_layers", 3)
            count = values.get("num_hidden_layers")
            if isinstance(every, int) and every > 0 and isinstance(count, int):
                values["layer_types"] = tuple(KINDS[i % every != 0] for i in range(count))


class ModernBertLayer(TextLayer):
    """x + attention(norm(x)), then x + mlp(norm(x)); the first has no norm before attention. With a
    window W, a token sees W // 2 on each side."""

    def __init__(self, cfg: ModernBertConfig, index: int) -> None:
        slides = cfg.layer_types[index] == "sliding_attention"
        theta = cfg.local_rope_theta if slides else cfg.global_rope_theta
        side = cfg.local_attention // 2 if slides else None
        super().__init__(cfg.head_dim, rope=Rope(cfg.head_dim, theta), side=side)
        self.attn_norm = LayerNorm(cfg.hidden_size, cfg.norm_eps, bias=False) if index else None
        self.self_attn = SelfAttention(cfg, bias=False)
        self.mlp_norm = LayerNorm(cfg.hidden_size, cfg.norm_eps, bias=False)
        act = ACTIVATIONS[cfg.hidden_activation]
        self.mlp = GatedMLP(cfg, act=act)  # type: ignore[arg-type]  # it reads two sizes

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        attention = self.self_attn
        x = x if self.attn_norm is None else self.attn_norm(x)
        return attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.self_attn.o_proj(mixed)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class ModernBert(TextEncoder):
    def __init__(self, cfg: ModernBertConfig) -> None:
        if len(cfg.layer_types) < cfg.num_hidden_layers:
            raise ValueError("layer_types has fewer entries than there are layers")
        super().__init__(
            cfg,
            [ModernBertLayer(cfg, index) for index in range(cfg.num_hidden_layers)],
            embed_norm=LayerNorm(cfg.hidden_size, cfg.norm_eps, bias=False),
            last_norm=LayerNorm(cfg.hidden_size, cfg.norm_eps, bias=False),
        )


class Head(nn.Module):
    """out(norm(act(dense(x)))) of each text's first row or mean. Tensors: dense (hidden, hidden),
    norm, out (labels, hidden) with a bias."""

    def __init__(self, cfg: ModernBertConfig) -> None:
        super().__init__()
        self.act, self.pooling = ACTIVATIONS[cfg.classifier_activation], cfg.classifier_pooling
        self.dense = Linear(cfg.hidden_size, cfg.hidden_size)
        self.norm = LayerNorm(cfg.hidden_size, cfg.norm_eps, bias=False)
        self.out = Linear(cfg.hidden_size, cfg.labels, bias=True)

    def forward(self, rows: Tensor, lengths: Sequence[int]) -> Tensor:
        """rows: (rows, hidden) -> (texts, labels)."""
        each = rows.split(list(lengths))
        means = self.pooling == "mean"
        x = torch.stack([one.clone().mean(0) if means else one[0] for one in each])
        out: Tensor = self.out(self.norm(self.act(self.dense(x))))
        return out


class ModernBertClassifier(ModernBert):
    def __init__(self, cfg: ModernBertConfig) -> None:
        super().__init__(cfg)
        self.head = Head(cfg)


LAYER = "model.layers.*"
RULES: list[Rule] = [
    Rename("model.*", "*"),  # of models with a head
    Rename("embeddings.tok_embeddings", "model.embed_tokens"),
    Rename("embeddings.norm", "embed_norm"),
    Rename("final_norm", "last_norm"),
    Rename("layers.*.attn.Wqkv", f"{LAYER}.self_attn.Wqkv"),
    Rename("layers.*.attn.Wo", f"{LAYER}.self_attn.o_proj"),
    Rename("layers.*.attn_norm", f"{LAYER}.attn_norm"),
    Rename("layers.*.mlp_norm", f"{LAYER}.mlp_norm"),
    Rename("layers.*.mlp.Wi", f"{LAYER}.mlp.Wi"),
    Rename("layers.*.mlp.Wo", f"{LAYER}.mlp.down_proj"),
    Split("*.self_attn.Wqkv", ("q_proj", "k_proj", "v_proj")),
    Split("*.mlp.Wi", ("gate_proj", "up_proj")),
]
WEIGHTS = {"hf": [Skip("head.*"), Skip("decoder*"), *RULES]}
CLASSIFIER = {"hf": [Rename("classifier", "head.out"), *RULES]}
