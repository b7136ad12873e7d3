"""Gemma 4's configuration: heads of its own for layers that see everything, shared keys and values.

config.json says the sizes of those layers' heads as global_head_dim and
num_global_key_value_heads, or, as transformers 5 writes it, by layer in per_layer_config.
"""

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tramontane.config import DecoderConfig
from tramontane.config.rope_settings import rotary_part

from .model import TANH_NAME

FULL, SLIDING = "full_attention", "sliding_attention"
UNTURNED = 1e20
"""Divisors of frequencies above it, in GGUF files, mean that a pair is not rotated."""


class LayeredConfig(DecoderConfig):
    """Of models with two kinds of layers, whose last ones read earlier ones' keys and values, and
    which may have vectors for each token and layer."""

    hidden_act: Literal["gelu_pytorch_tanh"] = "gelu_pytorch_tanh"
    attention_bias: Literal[False] = False
    tie_word_embeddings: bool = True
    sliding_window: int = Field(default=512, gt=0)
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...]
    rope_theta: float = Field(default=1_000_000.0, gt=0)
    rope_local_base_freq: float = Field(default=10_000.0, gt=0)
    num_kv_shared_layers: int = Field(default=0, ge=0)
    final_logit_softcapping: float | None = Field(default=None, ge=0)
    vocab_size_per_layer_input: int = Field(default=262_144, gt=0, le=2**24)
    hidden_size_per_layer_input: int = Field(default=256, ge=0, le=2**20)

    @model_validator(mode="after")
    def _something_to_share(self) -> Self:
        kept = self.layer_types[: len(self.layer_types) - self.num_kv_shared_layers]
        if {*kept} != {*self.layer_types}:
            raise ValueError(
                f"num_kv_shared_layers {self.num_kv_shared_layers} leaves no layer of some kind of "
                f"{self.num_hidden_layers} whose keys and values the others could share"
            )
        return self

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        return self.sliding_window if self.layer_types[index] == SLIDING else None

    def heads_of(self, index: int) -> tuple[int, int]:
        """d_head of a layer, and how many heads its keys and values have."""
        return self.head_dim, self.num_key_value_heads

    def keys_are_values(self, index: int) -> bool:
        return False

    def keeps(self, index: int) -> int:
        """The layer whose keys and values a layer reads: itself, or the last one of its kind that
        has any."""
        first = self.num_hidden_layers - self.num_kv_shared_layers
        if index < first:
            return index
        return max(i for i in range(first) if self.layer_types[i] == self.layer_types[index])


class Gemma4Config(LayeredConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "num_local_experts": "num_experts",
        "num_experts_per_tok": "top_k_experts",
    }
    # pictures see each other where it is "vision"; text never does
    use_bidirectional_attention: Literal[False, "vision"] = False
    sliding_window_pattern: int = Field(default=6, gt=0)
    global_head_dim: int = Field(default=512, gt=0, le=2**14)
    global_rotary_factor: float = Field(default=0.25, ge=0, le=1)
    global_rotary_stretch: float = Field(default=1.0, gt=0)
    num_global_key_value_heads: int | None = Field(default=None, gt=0)
    attention_k_eq_v: bool = False
    use_double_wide_mlp: bool = False
    enable_moe_block: bool = False
    num_experts: int | None = Field(default=None, gt=0)
    top_k_experts: int | None = Field(default=None, gt=0)
    moe_intermediate_size: int | None = Field(default=None, gt=0)
    absent = MappingProxyType({"max_position_embeddings": 131_072})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        values["hidden_act"] = values.get("hidden_activation", values.get("hidden_act", TANH_NAME))
        values.setdefault("head_dim", 256)
        layers, every = values.get("num_hidden_layers"), values.get("sliding_window_pattern", 6)
        if "layer_types" not in values and all(isinstance(n, int) and n for n in (layers, every)):
            numbers = range(1, min(layers, 4096) + 1)  # type: ignore[type-var, operator]
            values["layer_types"] = [SLIDING if n % every else FULL for n in numbers]
        if isinstance(kinds := values.get("layer_types"), (list, tuple)) and kinds:
            values["layer_types"] = (*kinds[:-1], FULL)  # the last one is, whatever is written
        read_heads(values)
        read_rotations(values)

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if self.global_head_dim % 2:
            raise ValueError(
                f"rotary embedding turns pairs, global_head_dim {self.global_head_dim}"
            )
        if self.num_attention_heads % self.heads_of(len(self.layer_types) - 1)[1]:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_global_key_value_heads {self.num_global_key_value_heads}"
            )
        if self.enable_moe_block:
            for name in ("num_experts", "top_k_experts", "moe_intermediate_size"):
                if getattr(self, name) is None:
                    raise ValueError(f"enable_moe_block is true and {name} is missing")
        return self

    def heads_of(self, index: int) -> tuple[int, int]:
        if self.window(index) is not None:
            return self.head_dim, self.num_key_value_heads
        own = self.num_global_key_value_heads if self.attention_k_eq_v else None
        return self.global_head_dim, own or self.num_key_value_heads

    def keys_are_values(self, index: int) -> bool:
        return self.attention_k_eq_v and self.window(index) is None


class Gemma4UnifiedConfig(Gemma4Config):
    use_bidirectional_attention: Literal[False, "vision"] = "vision"
    sliding_window: int = Field(default=1024, gt=0)
    hidden_size_per_layer_input: int = Field(default=0, ge=0, le=2**20)
    absent = MappingProxyType({"max_position_embeddings": 262_144})


def read_heads(values: dict[str, Any]) -> None:
    """per_layer_config as global_head_dim and num_global_key_value_heads. Raises ValueError."""
    layers = values.pop("per_layer_config", None)
    if not isinstance(layers, Mapping) or not layers:
        return
    told, kinds = list(layers.values()), values.get("layer_types") or ()
    full = {index for index, kind in enumerate(kinds) if kind == FULL}
    alike = all(isinstance(each, Mapping) and each == told[0] for each in told)
    which = {int(key) if str(key).isdigit() else -1 for key in layers}
    if not alike or told[0].keys() - {"head_dim", "num_key_value_heads"} or which != full:
        raise ValueError(f"per_layer_config={reprlib.repr(layers)} is not supported")
    values.setdefault("global_head_dim", told[0].get("head_dim", values.get("head_dim")))
    if told[0].get("num_key_value_heads") is not None:
        values.setdefault("num_global_key_value_heads", told[0]["num_key_value_heads"])


def read_rotations(values: dict[str, Any], full: str = "proportional") -> None:
    """rope_parameters of both kinds of layers as fields of their own. full: the rope_type of layers
    that see everything. Raises ValueError."""
    both = values.pop("rope_parameters", None)
    if values.get("rope_scaling") is not None:
        raise ValueError(f"rope_scaling={reprlib.repr(values['rope_scaling'])} is not supported")
    values.pop("partial_rotary_factor", None)  # of the layers with a window; all of it counts
    if both is None:
        return
    if not isinstance(both, Mapping):
        raise ValueError(f"rope_parameters={reprlib.repr(both)} is no object")
    whole, local = both.get(FULL) or {}, both.get(SLIDING) or {}
    for name, settings, kind in ((FULL, whole, full), (SLIDING, local, "default")):
        if not isinstance(settings, Mapping) or settings.get("rope_type", kind) not in (
            "default",
            kind,
        ):
            raise ValueError(
                f"rope_parameters of {name}: {reprlib.repr(settings)} is not supported"
            )
    plain = whole.get("rope_type", full) == "default"
    part = 1.0 if plain else whole.get("partial_rotary_factor", 1.0)
    stretch = 1.0 if plain else whole.get("factor", 1.0)
    values |= {"global_rotary_factor": part, "global_rotary_stretch": stretch}
    values["rope_theta"] = whole.get("rope_theta", 1e6)
    values["rope_local_base_freq"] = local.get("rope_theta", 1e4)


def fields(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says that has no word in config.json, or another meaning there."""
    found: dict[str, Any] = {"global_head_dim": config.get("head_dim"), "rope_scaling": None}
    told = {
        "attention.key_length_swa": "head_dim",
        "attention.shared_kv_layers": "num_kv_shared_layers",
        "embedding_length_per_layer_input": "hidden_size_per_layer_input",
    }
    found["hidden_size_per_layer_input"] = 0
    for key, field in told.items():
        if (value := metadata.get(f"gemma4.{key}")) is not None:
            found[field] = value
    found["vocab_size_per_layer_input"] = config.get("vocab_size")
    kinds = config.get("layer_types", ())
    heads, wide = config.get("num_key_value_heads"), config.get("intermediate_size")
    if isinstance(heads, tuple):
        by_kind = dict(zip(kinds, heads, strict=True))
        found["num_key_value_heads"] = by_kind.get(SLIDING, heads[-1])
        found["num_global_key_value_heads"] = by_kind.get(FULL)
    if isinstance(wide, tuple):
        found |= {"intermediate_size": wide[0], "use_double_wide_mlp": True}
    found["enable_moe_block"] = bool(config.get("num_local_experts"))
    factors = (config.get("rope_scaling") or {}).get("factors")
    turned = [each < UNTURNED for each in factors or [1.0]]
    found["global_rotary_factor"] = rotary_part(sum(turned), len(turned))
    return found
