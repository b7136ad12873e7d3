"""What a model's config.json may say. What is supported is what validates."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import ConfigError
from .rope_scaling import RopeScaling, check_scaling

PER_LAYER = ("layer_types", "no_rope_layers")
"""Fields, of the families that have them, with an entry for each layer."""
FIRST_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "n_embd": "hidden_size",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
        "n_positions": "max_position_embeddings",
        "n_inner": "intermediate_size",
        "activation_function": "hidden_act",
    }
)
"""How the first decoders' configurations say it; see `DecoderConfig.spellings`."""

C = TypeVar("C", bound="ModelConfig")


class ModelConfig(BaseModel):
    """Field names are config.json's. Keys that no field names are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class DecoderConfig(ModelConfig):
    """The numbers that every decoder-only transformer has."""

    spellings: ClassVar[Mapping[str, str]] = {}
    """A family's own words for fields, "n_embd": "hidden_size"; the field's name goes first."""

    vocab_size: int = Field(gt=0, le=2**24, strict=True)
    hidden_size: int = Field(gt=0, le=2**20, strict=True)
    intermediate_size: int = Field(gt=0, le=2**22, strict=True)
    num_hidden_layers: int = Field(gt=0, le=4096, strict=True)
    num_attention_heads: int = Field(gt=0, le=2**14, strict=True)
    num_key_value_heads: int = Field(gt=0, le=2**14, strict=True)
    head_dim: int = Field(gt=0, le=2**14, strict=True)
    max_position_embeddings: int = Field(default=2048, gt=0, le=2**40, strict=True)
    rms_norm_eps: float = Field(default=1e-6, gt=0, le=1, strict=True)
    rope_theta: float = Field(default=10_000.0, gt=0, strict=True)
    rope_scaling: RopeScaling | None = None
    partial_rotary_factor: float = Field(default=1.0, gt=0, le=1, strict=True)
    tie_word_embeddings: bool = False

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Derive what checkpoints leave out, and read rope settings where newer ones put them."""
        if not isinstance(values, Mapping):
            return values
        filled = {key: value for key, value in values.items() if value is not None}
        for said, meant in cls.spellings.items():
            if said in filled:
                filled.setdefault(meant, filled.pop(said))
        cls.derive(filled)
        _read_rope_parameters(filled)
        heads, hidden = filled.get("num_attention_heads"), filled.get("hidden_size")
        filled.setdefault("num_key_value_heads", heads)
        if "head_dim" not in filled:
            if not (isinstance(heads, int) and isinstance(hidden, int) and heads > 0 < hidden):
                filled["head_dim"] = 1  # what it derives from is refused by its own name
            elif hidden % heads:
                raise ValueError(
                    f"hidden_size {reprlib.repr(hidden)} is not a multiple of "
                    f"num_attention_heads {reprlib.repr(heads)}, and head_dim is not given"
                )
            else:
                filled["head_dim"] = hidden // heads
        return filled

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        """Complete what a family's checkpoints say, in place; nothing is checked yet."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        for name in PER_LAYER:
            told = getattr(self, name, None)
            if told is not None and len(told) != self.num_hidden_layers:
                raise ValueError(
                    f"{name} has {len(told)} entries for {self.num_hidden_layers} layers"
                )
        window = getattr(self, "sliding_window", None)
        used = getattr(self, "use_sliding_window", True)  # where it is not, some write 0
        if used and window is not None and window <= 0:
            raise ValueError(
                f"sliding_window {window} lets a token see nothing; null means no window"
            )
        rotated = int(self.head_dim * self.partial_rotary_factor)
        if rotated < 2 or rotated % 2:
            raise ValueError(
                f"rotary embedding turns pairs, and head_dim {self.head_dim} times "
                f"partial_rotary_factor {self.partial_rotary_factor} is {rotated}"
            )
        if self.rope_scaling is not None:
            # refused here, and not when the first token needs it
            check_scaling(self.rope_scaling, self.rope_theta, rotated, self.max_position_embeddings)
        return self


class LayerNormConfig(DecoderConfig):
    """Numbers of the families whose norms subtract the mean."""

    layer_norm_eps: float = Field(
        default=1e-5,
        gt=0,
        le=1,
        strict=True,
        validation_alias=AliasChoices("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
    )


def _read_rope_parameters(values: dict[str, Any]) -> None:
    """Transformers 5 writes theta and scaling together, as `rope_parameters`."""
    rope = values.pop("rope_parameters", None)
    if isinstance(rope, Mapping):
        settings = dict(rope)
        for name in ("rope_theta", "partial_rotary_factor"):
            if (value := settings.pop(name, None)) is not None:
                values.setdefault(name, value)
        values.setdefault("rope_scaling", settings)
    scaling = values.get("rope_scaling")
    if not isinstance(scaling, Mapping):
        return
    settings = {key: value for key, value in scaling.items() if value is not None}
    if "type" in settings:
        settings.setdefault("rope_type", settings.pop("type"))
    if not settings or settings.get("rope_type") == "default":
        del values["rope_scaling"]
        return
    # these stand beside rope_scaling in some checkpoints and inside it in others
    outer = values.get("original_max_position_embeddings")
    settings.setdefault("original_max_position_embeddings", outer)
    settings.setdefault("max_position_embeddings", values.get("max_position_embeddings", 2048))
    values["rope_scaling"] = {key: value for key, value in settings.items() if value is not None}


def read_config(config: type[C], values: Mapping[str, Any]) -> C:
    """Validate a checkpoint's configuration. Raises ConfigError naming field, value, and why."""
    try:
        return config.model_validate(dict(values))
    except ValidationError as error:
        told = []
        for item in error.errors()[:5]:
            field = ".".join(str(part) for part in item["loc"])
            reason = item["msg"].removeprefix("Value error, ")
            if item["type"] == "missing":
                told.append(f"{field} is missing")
            elif field:
                told.append(f"{field}={reprlib.repr(item['input'])}: {reason}")
            else:
                told.append(reason)
        # a value may bring line breaks into pydantic's words
        said = " ".join("; ".join(told).split())
        raise ConfigError(f"unsupported configuration: {said}") from error
