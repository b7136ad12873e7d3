"""Configurations: what `config.json` may contain. A configuration that validates is supported."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from types import MappingProxyType, NoneType
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tramontane.errors import ConfigError

from .rope_scaling import RopeScaling, check_scaling
from .rope_settings import complete_scaling, read_rope

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
"""The names of fields in the configurations of GPT-2 and its time; see
`DecoderConfig.spellings`."""

MAY_DIFFER = ("num_attention_heads", "num_key_value_heads", "intermediate_size")
"""Fields that a family may redefine as `tuple[int, ...]`, one for each layer."""

UNSUPPORTED = "unsupported"
"""Where a container lists settings that no field has: a model with any is refused."""

OUTSIDE = "outside_text_config"
"""Where a folder's configuration keeps what stands beside `text_config` and in it too, for which
the latter's goes."""

C = TypeVar("C", bound="ModelConfig")


class ContextLimit(NamedTuple):
    """Tokens beyond which a model would not be computed as it was made, and why."""

    tokens: int
    reason: str

    @classmethod
    def of_index(cls, topk: int) -> ContextLimit:
        """Of families whose layers choose `topk` tokens to attend to, by an indexer."""
        return cls(
            topk,
            f"beyond index_topk {topk} tokens each one attends to those that the model's indexer "
            "chooses, which is not implemented",
        )


class ModelConfig(BaseModel):
    """Field names are config.json's. Keys that no field names are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def tie_from_outside(values: dict[str, Any]) -> None:
    """For `DecoderConfig.derive` of families whose `tie_word_embeddings` is read beside
    `text_config`, whatever that says."""
    if "text_config" in values:
        outside = values.get(OUTSIDE) or {}
        inside = values["text_config"]
        beside = values.get("tie_word_embeddings") if "tie_word_embeddings" not in inside else None
        values["tie_word_embeddings"] = bool(outside.get("tie_word_embeddings", beside))


class DecoderConfig(ModelConfig):
    """The fields that every decoder-only transformer has; a family's class adds its own.

    Names are those of `config.json`. num_key_value_heads defaults to num_attention_heads, head_dim
    to hidden_size / num_attention_heads. Keys that no field has are ignored; add a field with
    `Literal[False]` to refuse another value. `read_config` builds one.
    """

    spellings: ClassVar[Mapping[str, str]] = {}
    """Other names of fields in this family, {"n_embd": "hidden_size"}; where both are given, the
    field's own name is used."""
    absent: ClassVar[Mapping[str, Any]] = {}
    """What a missing key means in this family, {field: value}, where it is not the default
    below."""

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

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """A misspelt field would be silent: the key would be ignored."""
        super().__pydantic_init_subclass__(**options)
        names = {*cls.model_fields}
        for field in cls.model_fields.values():
            alias = field.validation_alias
            names |= {str(each) for each in getattr(alias, "choices", [alias]) if each}
        for table, given in (("absent", cls.absent), ("spellings", cls.spellings.values())):
            for name in given:
                if name not in names:
                    near = difflib.get_close_matches(name, names, 1, 0)
                    raise TypeError(
                        f"{cls.__name__}.{table} has {name!r}, which is no field; "
                        f"did you mean {near[0]!r}?"
                    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Derive what checkpoints leave out, and read rope settings where newer ones put them."""
        if not isinstance(values, Mapping):
            return values
        unsupported = values.get(UNSUPPORTED)
        if isinstance(unsupported, list) and unsupported:
            raise ValueError(", ".join(map(str, unsupported)))
        filled = dict(values)
        for said, meant in cls.spellings.items():
            if said in filled:
                value = filled.pop(said)
                if filled.get(meant) is None:
                    filled[meant] = value
        cls._refuse_layers(filled)
        nullable = cls._nullable()
        filled = {k: v for k, v in filled.items() if v is not None or k in nullable}
        cls.derive(filled)
        read_rope(filled)
        for key, value in cls.absent.items():
            filled.setdefault(key, value)
        complete_scaling(filled)
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
    def _refuse_layers(cls, values: Mapping[str, Any]) -> None:
        """Containers give a tuple where layers differ; most fields have one value for all."""
        for name, field in cls.model_fields.items():
            if isinstance(value := values.get(name), tuple) and _is_single(field.annotation):
                raise ValueError(
                    f"{name}={reprlib.repr(value)} differs between layers, which this family does "
                    "not support"
                )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        """Override to compute fields from others, in place, before anything is validated. values:
        the keys of config.json, with `spellings` applied and null left out."""

    @classmethod
    def _nullable(cls) -> set[str]:
        """Fields for which null and a missing key are two things; for others null says nothing."""
        return {
            name
            for name, field in cls.model_fields.items()
            if NoneType in get_args(field.annotation)
            and (field.default is not None or cls.absent.get(name) is not None)
        }

    @property
    def known_tokens(self) -> int:
        """Ids that a prompt may have, rows of the embedding table; override where the head has
        fewer, which is vocab_size."""
        return self.vocab_size

    @property
    def rotary(self) -> bool:
        """Whether queries and keys are rotated in any layer; override for families without RoPE."""
        return True

    @property
    def context_limit(self) -> ContextLimit | None:
        """The longest context that is computed right; longer ones are refused. Override for
        families of which a part is missing that counts in long contexts only."""
        return None

    @property
    def _differs(self) -> bool:
        """Whether layers have heads of their own."""
        return any(
            isinstance(getattr(self, name), tuple)
            for name in ("num_attention_heads", "num_key_value_heads")
        )

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        for name in (*PER_LAYER, *type(self).model_fields):
            told = getattr(self, name, None)
            counted = name in PER_LAYER or (name in MAY_DIFFER and isinstance(told, tuple))
            if told is not None and counted and len(told) != self.num_hidden_layers:
                raise ValueError(
                    f"{name} has {len(told)} entries for {self.num_hidden_layers} layers"
                )
        for layer in range(self.num_hidden_layers if self._differs else 1):
            heads = of_layer(self.num_attention_heads, layer)
            shared = of_layer(self.num_key_value_heads, layer)
            if heads < 1 or shared < 1 or heads % shared:
                where = f" in layer {layer}" if self._differs else ""
                raise ValueError(
                    f"num_attention_heads {heads} is not a multiple of num_key_value_heads "
                    f"{shared}{where}"
                )
        window = getattr(self, "sliding_window", None)
        used = getattr(self, "use_sliding_window", True)  # where it is not, some write 0
        if used and window is not None and window <= 0:
            raise ValueError(
                f"sliding_window {window} lets a token see nothing; null means no window"
            )
        if "sliding_attention" in (getattr(self, "layer_types", None) or ()):
            if not used:
                raise ValueError("layer_types has sliding_attention, use_sliding_window is false")
            if window is None:
                raise ValueError("layer_types has sliding_attention, sliding_window is null")
        if not self.rotary:
            return self
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
    """A `DecoderConfig` for families with `LayerNorm`, which adds layer_norm_eps, also read from
    layer_norm_epsilon and norm_epsilon."""

    layer_norm_eps: float = Field(
        default=1e-5,
        gt=0,
        le=1,
        strict=True,
        validation_alias=AliasChoices("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
    )


def of_layer(value: Any, index: int) -> int:
    """A number of a layer, of a field that may have one for each; see `MAY_DIFFER`."""
    return int(value[index] if isinstance(value, tuple) else value)


def _is_single(annotation: Any) -> bool:
    """Whether a field's type has one value only, or none."""
    arguments = get_args(annotation) or (annotation,)
    return all(each in (int, float, bool, str, NoneType) for each in arguments)


def read_config(config: type[C], values: Mapping[str, Any]) -> C:
    """Validate a checkpoint's configuration. config: the family's class. values: config.json as a
    mapping. Raises ConfigError, which names field, value and reason."""
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
