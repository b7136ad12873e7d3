"""Fields that requests of several APIs share: how to draw tokens, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, NoReturn, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError
from tramontane.grammar import LONGEST, Grammar
from tramontane.sampling_params import ADAPTERS, SamplingParams, is_by_name

NO_EFFECT = "accepted, has no effect"


TokenId = Annotated[int, Field(ge=0)]
KeyId = Annotated[int, Field(ge=0, strict=False)]  # JSON's keys are texts
Bias = Annotated[float, Field(ge=-100, le=100)]


def _grammar(kinds: Sequence[str], value: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "type": {"enum": list(kinds)},
            "value": value,
            "after": {"type": "string", "maxLength": 1024, "default": ""},
            "optional": {"type": "boolean", "default": False},
        },
        "required": ["type"] if value == {"type": "null"} else ["type", "value"],
        "additionalProperties": False,
    }


GRAMMAR = {"anyOf": [
    _grammar(["json_object"], {"type": "null"}),
    _grammar(["json_schema"], {"type": ["object", "boolean"]}),
    _grammar(["regex", "lark", "gbnf"], {"type": "string", "maxLength": LONGEST}),
    _grammar(["llguidance"], {"type": ["object", "string"], "maxLength": LONGEST}),
    {"type": "string", "maxLength": LONGEST},
]}  # fmt: skip
"""Grammar's schema, with what its `value` is for each type; a string is GBNF."""
AnyGrammar = Annotated[Grammar, WithJsonSchema(GRAMMAR)]


STREAM_OPTIONS: JsonDict = {"anyOf": [
    {"properties": {"stream_options": {"type": "null"}}},
    {"properties": {"stream": {"const": True}}, "required": ["stream"]},
]}  # fmt: skip
"""A schema of objects in which stream_options come with stream=true only."""


def not_both(one: str, other: str) -> JsonDict:
    """A schema of objects in which of two fields one at most is given."""
    null: JsonDict = {"type": "null"}
    return {"anyOf": [{"properties": {one: null}}, {"properties": {other: null}}]}


Adapters = (
    Annotated[str, Field(max_length=2048)]
    | Annotated[dict[Annotated[str, Field(max_length=120)], float], Field(max_length=16)]
)
Verbosity = Literal["low", "medium", "high"]
Text = Annotated[str, Field(min_length=1)]
Stop = Text | Annotated[list[Text], Field(max_length=64)]
Window = Annotated[int, Field(ge=-1, lt=2**31)]


def refuse(param: str, message: str, code: str = "invalid_value") -> NoReturn:
    """Raise a validation error about a field of the object; "" in the validator of a field."""
    # a message of pydantic's is a template: what clients write is no part of it
    raise PydanticCustomError("refused", "{message}", {
        "message": message, "param": param, "code": code,
    })  # fmt: skip


def _adapters(value: Any) -> Any:
    if not (value is None or isinstance(value, str) or is_by_name(value)):
        refuse("", ADAPTERS, "invalid_type")
    return value


class RequestBody(BaseModel):
    """A request's body, or an object in it: every known field is supported, or refused by name;
    unknown fields are ignored and listed in a header of the answer (see `ignored`)."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    refused: ClassVar[Mapping[str, str]] = {}
    """Fields of the API that are not supported, and the reasons; null counts as absent."""
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Values of refused fields that request nothing and count as absent too."""

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for name, why in cls.refused.items():
            if data.get(name) is not None and data[name] not in cls.neutral.get(name, ()):
                refuse(name, f"{name} is not supported: {why}", "unsupported_parameter")
        found = {name: value for name, value in data.items() if name not in cls.refused}
        for name in found.keys() & _integers(cls):
            found[name] = _as_integers(found[name])
        return found


@cache
def _integers(kind: type[RequestBody]) -> frozenset[str]:
    """Fields that are integers, or lists of them, by the names that clients write."""
    return frozenset(
        field.alias or name
        for name, field in kind.model_fields.items()
        if int in _component_types(field.annotation)
    )


def _component_types(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _component_types(part)


def _as_integers(value: Any, depth: int = 2) -> Any:
    """4.0 as 4, also in lists: both are integers in JSON Schema, and some languages write so."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is list and depth and {float, list} & set(map(type, value)):
        return [_as_integers(one, depth - 1) for one in value]
    return value


class Sampling(RequestBody):
    """Sampling parameters, by OpenAI's names and those of other servers."""

    temperature: float | None = Field(None, ge=0, le=100, description="0: greedy")
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, description="0 or -1: all")
    min_p: float | None = Field(None, ge=0, le=1)
    typical_p: float | None = Field(None, ge=0, le=1)
    tfs_z: float | None = Field(None, ge=0, le=1)
    top_a: float | None = Field(None, ge=0, le=1)
    top_n_sigma: float | None = Field(None, ge=0, le=1000)
    xtc_probability: float | None = Field(None, ge=0, le=1)
    xtc_threshold: float | None = Field(None, ge=0, le=1)
    dynatemp_range: float | None = Field(None, ge=0, le=100)
    dynatemp_exponent: float | None = Field(None, gt=0, le=100)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    penalty_window: Window | None = None
    repetition_penalty: float | None = Field(None, ge=0.001, le=1000)
    repetition_window: Window | None = None
    dry_multiplier: float | None = Field(None, ge=0, le=1000)
    dry_base: float | None = Field(None, ge=1, le=100)
    dry_allowed_length: int | None = Field(None, ge=1, lt=2**31)
    dry_range: Window | None = None
    dry_sequence_breakers: list[Text] | None = Field(None, max_length=64)
    mirostat: int | None = Field(None, ge=0, le=2)
    mirostat_tau: float | None = Field(None, ge=0, le=100)
    mirostat_eta: float | None = Field(None, ge=0, le=1)
    logit_bias: dict[KeyId, Bias] | None = Field(
        None,
        max_length=4096,
        description="token id: -100 to 100",
        json_schema_extra={"propertyNames": {"pattern": "^[0-9]+$"}},
    )
    sampler: str | None = Field(None, max_length=4096, description="steps in order, top_k:40/...")
    seed: int | None = Field(None, description="equal seeds (modulo 2**64) give equal tokens")
    ignore_eos: bool | None = Field(None, description="continue after the end token")
    skip_special_tokens: bool | None = None
    stop_token_ids: list[TokenId] | None = Field(None, max_length=4096)
    grammar: AnyGrammar | None = Field(
        None,
        description="regex, json_schema, json_object, lark, gbnf or llguidance, and its value; a "
        "string is GBNF",
    )
    adapter: Annotated[Adapters | None, BeforeValidator(_adapters)] = Field(
        None,
        description="the adapter to answer with, several with weights (`a:0.5,b`), or weights by "
        "name",
    )
    priority: int | None = Field(
        None, ge=-(2**31), lt=2**31, description="requests with lower values are served first"
    )
    cache_salt: str | None = Field(
        None, max_length=256, description="share cached prompts only with requests of the same salt"
    )

    def params(self, **more: Any) -> SamplingParams:
        """SamplingParams; more: fields that are named otherwise in each API, None if not given.

        Raises RequestError.
        """
        given = {
            name: getattr(self, name)
            for name in Sampling.model_fields
            if name not in ("priority", "cache_salt") and getattr(self, name) is not None
        }
        if "seed" in given:
            given["seed"] %= 2**64
        return SamplingParams(**given | {k: v for k, v in more.items() if v is not None})

    def request_fields(self) -> dict[str, Any]:
        """Fields of the engine's request other than sampling: priority and cache_salt."""
        found: dict[str, Any] = {}
        if self.priority is not None:
            found["priority"] = self.priority
        if self.cache_salt is not None:
            found["cache_salt"] = self.cache_salt
        return found


for name, field in Sampling.model_fields.items():
    if field.description is None:  # the descriptions of core
        field.description = SamplingParams.model_fields[name].description
