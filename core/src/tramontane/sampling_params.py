"""What a request may ask of generation: how long, where to stop, and how tokens are drawn."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from numbers import Real
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tramontane.errors import RequestError
from tramontane.grammar import Grammar

RESTING: Mapping[str, Any] = {
    "logit_bias": {},
    "grammar": None,
    "suppress_tokens": (),
    "repetition_penalty": 1.0,
    "repetition_window": 64,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "penalty_window": -1,
    "dry_multiplier": 0.0,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "dry_range": -1,
    "dry_sequence_breakers": ("\n", ":", '"', "*"),
    "top_n_sigma": 0.0,
    "top_k": 0,
    "tfs_z": 1.0,
    "typical_p": 1.0,
    "top_p": 1.0,
    "top_a": 0.0,
    "min_p": 0.0,
    "xtc_probability": 0.0,
    "xtc_threshold": 0.1,
    "temperature": 1.0,
    "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0,
    "mirostat": 0,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
}
"""The fields that samplers take, each with its value where a request gives only others of the same
sampler. The value of a field that switches its sampler on means: off."""


def _one_of_strings(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _bias(value: float) -> float:
    if value != -math.inf and not -100 <= value <= 100:
        raise ValueError("must be from -100 to 100, or -inf")
    return value


ADAPTERS = "must be an adapter's name, several with weights such as 'a:0.5,b', or weights by name"


def _named(value: Any) -> Any:
    if not (value is None or isinstance(value, str) or is_by_name(value)):
        raise ValueError(ADAPTERS)
    return value


def is_by_name(value: Any) -> bool:
    """Whether it is weights by the names of adapters."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(weight, Real) and not isinstance(weight, bool)
        for name, weight in value.items()
    )


Int: TypeAlias = Annotated[int, Field(strict=True)]
Float: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Bool: TypeAlias = Annotated[bool, Field(strict=True)]
Probability: TypeAlias = Annotated[Float, Field(ge=0, le=1)]
TokenId: TypeAlias = Annotated[int, Field(ge=0)]
Window: TypeAlias = Annotated[Int, Field(ge=-1)]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=1024)]
Bias: TypeAlias = Annotated[float, Field(strict=True), AfterValidator(_bias)]
Strings: TypeAlias = Annotated[
    tuple[Text, ...], BeforeValidator(_one_of_strings), Field(max_length=64)
]


class SamplingParams(BaseModel):
    """How to generate. None everywhere: the model's generation_config.json, else off.

    A request without a temperature is greedy unless it, or the model's configuration, asks for
    something that only drawing has, such as top_p or a chain in `sampler`; the temperature is then
    1. Raises RequestError, one line that names the parameter, its value and what is allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_tokens: Int | None = Field(None, ge=0)
    """How many tokens to generate at most. None: until the context is full."""
    stop: Strings = ()
    """A string, or several, that end the text. They are not part of it."""
    stop_token_ids: tuple[TokenId, ...] = Field((), max_length=4096)
    """Tokens that end the text besides those of the model."""
    ignore_eos: Bool = False
    """Whether to go on after the model's end tokens."""
    skip_special_tokens: Bool = True
    """Whether to leave control tokens out of the text."""
    seed: Int | None = Field(None, ge=0, lt=2**64)
    """The same seed draws the same tokens. None: a random one, which the result reports."""
    n: Int = Field(1, ge=1, le=128)
    """How many texts to generate."""
    best_of: Int | None = Field(None, ge=1, le=128)
    """Generate so many, and return the `n` whose tokens were likeliest on average."""
    adapter: Annotated[str | Mapping[str, float] | None, BeforeValidator(_named)] = Field(
        None, max_length=2048
    )
    """The adapter to answer with, several with weights ("a:0.5,b"), or weights by name."""
    logprobs: Bool = False
    """Whether to report the log-probability of every token."""
    top_logprobs: Int = Field(0, ge=0, le=20)
    """How many of the most likely tokens to report with it."""

    temperature: Float | None = Field(None, ge=0, le=100)
    """Divides the logits: below 1 likely tokens become likelier. 0: greedy."""
    dynatemp_range: Float | None = Field(None, ge=0, le=100)
    """The temperature follows the entropy, from temperature - range to temperature + range."""
    dynatemp_exponent: Float | None = Field(None, gt=0, le=100)
    """How. Above 1 it stays low until the entropy is high. If not given: 1."""
    top_k: Int | None = Field(None, ge=-1)
    """Keep the k most likely tokens. 0 or -1: all."""
    top_p: Probability | None = None
    """Keep the most likely tokens that together have this probability. 1: all."""
    min_p: Probability | None = None
    """Keep tokens with at least this share of the most likely one's probability. 0: all."""
    typical_p: Probability | None = None
    """Keep the tokens nearest to the expected surprise that have this probability. 1: all."""
    tfs_z: Probability | None = None
    """Cut the tail where probabilities have levelled out. 1: keep all."""
    top_a: Probability | None = None
    """Keep tokens of at least top_a times the square of the largest probability. 0: all."""
    top_n_sigma: Float | None = Field(None, ge=0, le=1000)
    """Keep logits within this many standard deviations of the largest. 0: all."""
    xtc_probability: Probability | None = None
    """How often to exclude top choices. 0: never."""
    xtc_threshold: Probability | None = None
    """Top choices are tokens of at least this probability; the least of them stays.
    If not given: 0.1. Above 0.5 there are never two, so nothing is excluded."""
    repetition_penalty: Float | None = Field(None, ge=0.001, le=1000)
    """Divides positive logits of tokens seen in prompt or output, multiplies others. 1: off."""
    repetition_window: Window | None = None
    """In how many of the last tokens to look. -1: all. If not given: 64."""
    frequency_penalty: Float | None = Field(None, ge=-100, le=100)
    """Taken off a token's logit for each time that it was generated. 0: off."""
    presence_penalty: Float | None = Field(None, ge=-100, le=100)
    """Taken off a token's logit once it was generated. 0: off."""
    penalty_window: Window | None = None
    """In how many of the last generated tokens those two look. -1, or not given: all."""
    dry_multiplier: Float | None = Field(None, ge=0, le=1000)
    """Penalty for a token that continues a repetition of allowed length. 0: off."""
    dry_base: Float | None = Field(None, ge=1, le=100)
    """By what it grows with each token more. If not given: 1.75."""
    dry_allowed_length: Int | None = Field(None, ge=1)
    """The longest repetition without a penalty, plus one. If not given: 2."""
    dry_range: Window | None = None
    """In how many of the last tokens to look. -1, or not given: all."""
    dry_sequence_breakers: Strings | None = None
    """Strings that no repetition extends over. If not given: newline, colon, quote, asterisk."""
    mirostat: Int | None = Field(None, ge=0, le=2)
    """1 or 2: keep the surprise of the text at mirostat_tau by feedback. 0: off."""
    mirostat_tau: Float | None = Field(None, ge=0, le=100)
    """The target, in bits. If not given: 5."""
    mirostat_eta: Float | None = Field(None, ge=0, le=1)
    """How fast mirostat corrects itself. If not given: 0.1."""
    logit_bias: dict[TokenId, Bias] | None = Field(None, max_length=4096)
    """Added to tokens' logits, -100 to 100. -inf: never this token."""
    suppress_tokens: tuple[TokenId, ...] | None = Field(None, max_length=4096)
    """Tokens never to generate."""
    grammar: Grammar | None = None
    """What the text must look like: `{"type": "json_schema", "value": {...}}`, or `json_object`,
    `regex`, `lark`, `llguidance`. With `after`, free until that text has come."""
    sampler: str | None = Field(None, max_length=4096)
    """Samplers in the order to run them: `top_k:40/top_p:p=0.9/temperature:0.7`."""
    extra: dict[str, dict[str, Float | Int | str]] = Field(default_factory=dict, max_length=64)
    """Options of samplers that have no fields here, by the sampler's name."""

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise RequestError(_readable(error)) from None

    @model_validator(mode="after")
    def _top_logprobs_need_logprobs(self) -> SamplingParams:
        if self.top_logprobs and not self.logprobs:
            raise ValueError(f"top_logprobs={self.top_logprobs} needs logprobs=True")
        return self

    @model_validator(mode="after")
    def _best_of_at_least_n(self) -> SamplingParams:
        if self.best_of is not None and self.best_of < self.n:
            raise ValueError(f"best_of={self.best_of} is less than n={self.n}")
        return self

    @model_validator(mode="after")
    def _a_grammar_ends_by_itself(self) -> SamplingParams:
        if self.grammar is not None and self.ignore_eos:
            raise ValueError("ignore_eos=True and a grammar exclude each other; keep one")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return self.stop

    def sampler_fields(self) -> dict[str, Any]:
        """Those fields that samplers take and that are given."""
        given = {name: getattr(self, name) for name in RESTING}
        return {name: value for name, value in given.items() if value is not None}

    def with_defaults(self, generation: Mapping[str, Any]) -> SamplingParams:
        """With what generation_config.json says about that which is not given here.

        Suppressed tokens are always taken, and a repetition penalty, which then looks at all
        tokens as in Transformers, unless `sampler` names the steps. Temperature, top_k, top_p,
        min_p and typical_p are taken if the model is meant to be drawn from: `do_sample` is true,
        or it is absent and there is a temperature. They are not taken by a request that is greedy
        or brings its own way to truncate, `sampler` or `mirostat`.
        """
        temperature = generation.get("temperature")
        drawn = generation.get("do_sample", temperature is not None)
        names = ["suppress_tokens"]
        filled: dict[str, Any] = {}
        if self.sampler is None:
            names.append("repetition_penalty")
            if self.repetition_penalty is None and generation.get("repetition_penalty"):
                filled["repetition_window"] = -1
        if drawn and self.temperature != 0 and not (self.sampler or self.mirostat):
            names += ["top_k", "top_p", "min_p", "typical_p"]
            filled["temperature"] = 1.0 if temperature is None else temperature
        filled |= {name: generation.get(name) for name in names}
        missing = {
            name: value
            for name, value in filled.items()
            if value is not None and getattr(self, name) is None
        }
        if not missing:
            return self
        try:
            return SamplingParams(**{**dict(self), **missing})
        except RequestError as error:
            raise RequestError(
                f"generation_config.json: {error}; pass the parameter to override it"
            ) from error


def _readable(error: ValidationError) -> str:
    """The first problem in one line."""
    problems = error.errors(include_url=False)
    first = problems[0]
    names = [str(part) for part in first["loc"] if part not in ("float", "int", "str", "[key]")]
    where = ".".join(names)
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(where, SamplingParams.model_fields, 1)
        message = f"there is no parameter {where!r}"
        message += f"; did you mean {close[0]!r}?" if close else ""
    else:
        message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        message = message.replace("should", "must")
        message = message[0].lower() + message[1:]
        value = repr(first["input"])
        value = value if len(value) <= 60 else f"{value[:57]}..."
        message = f"{where}={value}: {message}" if where else message
    more = len(problems) - 1
    return f"{message} (and {more} more)" if more else message
