"""Qwen3-VL: Qwen3 with images, which are added to its first layers too (DeepStack)."""

from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, model_validator
from tramontane.blocks import Attention, GatedMLP, PreNormLayer, RMSNorm, SectionedRope
from tramontane.blocks.activation import Gelu
from tramontane.checkpoint.rules import Rule
from tramontane.config.decoder import tie_from_outside

from .vl2 import HF, QwenVL, TowerConfig, VLConfig
from .vl3_tower import DeepTower
from .vl_gguf import qwen3


class Qwen3VLTowerConfig(TowerConfig):
    """num_position_embeddings: a square of them. deepstack_visual_indexes: layers of the encoder
    whose rows are added behind the first layers of the language model."""

    depth: int = Field(default=27, gt=0, le=1024, strict=True)
    patch_size: int = Field(default=16, gt=0, le=2**10, strict=True)
    hidden_size: int = Field(default=1152, gt=0, le=2**16, strict=True)
    intermediate_size: int = Field(default=4304, gt=0, le=2**18, strict=True)
    out_hidden_size: int = Field(default=3584, gt=0, le=2**20, strict=True)
    num_position_embeddings: int = Field(default=2304, gt=0, le=2**20, strict=True)
    deepstack_visual_indexes: tuple[int, ...] = (8, 16, 24)
    hidden_act: Gelu = "gelu_pytorch_tanh"

    @model_validator(mode="after")
    def _fits(self) -> "Qwen3VLTowerConfig":
        deep, places = self.deepstack_visual_indexes, self.num_position_embeddings
        if len(set(deep)) < len(deep) or not all(0 <= each < self.depth for each in deep):
            raise ValueError(
                f"deepstack_visual_indexes {deep} are not different layers of {self.depth}"
            )
        if int(places**0.5) ** 2 != places:
            raise ValueError(f"num_position_embeddings {places} is not the square of a number")
        return self


class Qwen3VLConfig(VLConfig):
    attention_bias: bool = False
    use_sliding_window: Literal[False] = False
    mrope_section: tuple[int, ...] = (24, 20, 20)
    vision_config: Qwen3VLTowerConfig | None = Field(default_factory=Qwen3VLTowerConfig)
    absent = MappingProxyType(
        {
            "vocab_size": 151_936,
            "hidden_size": 4096,
            "intermediate_size": 22_016,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "head_dim": 128,
            "max_position_embeddings": 128_000,
            "rms_norm_eps": 1e-6,
            "rope_theta": 500_000.0,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        tie_from_outside(values)

    @model_validator(mode="after")
    def _deep(self) -> "Qwen3VLConfig":
        tower, pairs = self.vision_config, self.head_dim // 2
        if any(at + 3 * n >= pairs + 3 for at, n in enumerate(self.mrope_section) if at):
            raise ValueError(
                f"mrope_section {self.mrope_section} cannot alternate in {pairs} pairs"
            )
        if tower is None:
            return self
        if len(tower.deepstack_visual_indexes) > self.num_hidden_layers:
            raise ValueError(
                f"deepstack_visual_indexes {tower.deepstack_visual_indexes} are more than the "
                f"{self.num_hidden_layers} layers of the language model"
            )
        if tower.out_hidden_size != self.hidden_size:
            raise ValueError(
                f"out_hidden_size {tower.out_hidden_size} of vision_config is not hidden_size "
                f"{self.hidden_size}"
            )
        return self


def vl3_layer(cfg: Qwen3VLConfig, index: int) -> PreNormLayer:
    rope = SectionedRope(
        cfg.head_dim,
        cfg.rope_theta,
        cfg.rope_scaling,
        sections=cfg.mrope_section,
        interleaved=True,
    )
    attention = Attention(
        cfg,
        index,
        rope=rope,
        q_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        k_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        bias=cfg.attention_bias,
        out_bias=cfg.attention_bias,
    )
    return PreNormLayer(cfg, attention, GatedMLP(cfg))


class Qwen3VL(QwenVL):
    Layer = staticmethod(vl3_layer)

    def __init__(self, cfg: Qwen3VLConfig) -> None:
        super().__init__(cfg)
        tower = cfg.vision_config
        if tower is None:
            return
        self.levels = len(tower.deepstack_visual_indexes)
        self.visual = DeepTower(
            tower.hidden_size,
            tower.num_heads,
            tower.depth,
            tower.out_hidden_size,
            tower.patch,
            tower.spatial_merge_size,
            wide=tower.intermediate_size,
            act=tower.hidden_act,
            places=tower.num_position_embeddings,
            deep=tower.deepstack_visual_indexes,
        )


def weights(cfg: Qwen3VLConfig) -> dict[str, list[Rule]]:
    tower = cfg.vision_config
    return {"hf": HF, "gguf": qwen3(() if tower is None else tower.deepstack_visual_indexes)}
