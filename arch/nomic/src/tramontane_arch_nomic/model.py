"""NomicBERT (Nussbaum et al. 2024): BERT with rotated positions and a gated feed-forward half."""

from typing import Any, Literal

from pydantic import Field
from tramontane.blocks import GatedMLP, LayerNorm, PostNormTextLayer, Rope, TextEncoder
from tramontane.checkpoint.rules import Rename, Rule, Skip, Split
from tramontane.config.encoder import EncoderConfig


class NomicBertConfig(EncoderConfig):
    max_position_embeddings: int = Field(default=2048, gt=0, le=2**20, strict=True)
    type_vocab_size: int = Field(default=2, ge=0, le=2**10, strict=True)
    hidden_act: Literal["silu"] = "silu"
    rope_theta: float = Field(default=1000.0, gt=0)
    rotary_emb_fraction: float = Field(default=1.0, ge=1, le=1)
    rotary_emb_interleaved: Literal[False] = False
    rotary_scaling_factor: None = None
    qkv_proj_bias: Literal[False] = False
    mlp_fc1_bias: Literal[False] = False
    mlp_fc2_bias: Literal[False] = False
    prenorm: Literal[False] = False
    use_rms_norm: Literal[False] = False

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if values.get("activation_function", "swiglu") != "swiglu":
            values["hidden_act"] = values["activation_function"]
        if "n_positions" in values:  # of the first configurations, whose own names these are
            values.setdefault("max_position_embeddings", values["n_positions"])
        if "rotary_emb_base" in values:
            values.setdefault("rope_theta", values["rotary_emb_base"])
        if isinstance(rope := values.get("rope_parameters"), dict):
            if rope.get("rope_type", "default") != "default":
                raise ValueError(f"rope_parameters {rope!r:.60} is not supported")
            values.setdefault("rope_theta", rope.get("rope_theta", 1000.0))


class NomicBert(TextEncoder):
    def __init__(self, cfg: NomicBertConfig) -> None:
        rope = Rope(cfg.head_dim, cfg.rope_theta)

        def layer() -> PostNormTextLayer:
            mlp = GatedMLP(cfg)  # type: ignore[arg-type]  # two sizes are all that it reads
            return PostNormTextLayer(cfg, mlp=mlp, rope=rope, bias=False)

        super().__init__(
            cfg,
            [layer() for _ in range(cfg.num_hidden_layers)],
            kinds=cfg.type_vocab_size,
            embed_norm=LayerNorm(cfg.hidden_size, cfg.layer_norm_eps),
        )


LAYER = "model.layers.*"
RULES: list[Rule] = [
    Rename("embeddings.word_embeddings", "model.embed_tokens"),
    Rename("embeddings.token_type_embeddings", "kinds"),
    Rename("emb_ln", "embed_norm"),
    Skip("pooler.*"),
    Rename("encoder.layers.*.attn.Wqkv", f"{LAYER}.self_attn.Wqkv"),
    Rename("encoder.layers.*.attn.out_proj", f"{LAYER}.self_attn.o_proj"),
    Rename("encoder.layers.*.norm1", f"{LAYER}.attn_norm"),
    Rename("encoder.layers.*.mlp.fc11", f"{LAYER}.mlp.up_proj"),
    Rename("encoder.layers.*.mlp.fc12", f"{LAYER}.mlp.gate_proj"),
    Rename("encoder.layers.*.mlp.fc2", f"{LAYER}.mlp.down_proj"),
    Rename("encoder.layers.*.norm2", f"{LAYER}.mlp_norm"),
    Split("*.self_attn.Wqkv", ("q_proj", "k_proj", "v_proj")),
]
WEIGHTS = {"hf": RULES}
