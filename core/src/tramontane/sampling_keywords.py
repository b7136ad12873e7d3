"""Fields of `SamplingParams` as keyword arguments of `generate` and `chat`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, cast

from .errors import RequestError
from .grammar import Grammar
from .sampling_params import SamplingParams

OWN = ("params", "stream", "schema")
"""The arguments of `generate` that are not sampling."""
CHAT = (
    *OWN, "tools", "tool_choice", "parallel_tool_calls", "max_tool_rounds", "approve",
    "tool_timeout", "template_variables",
)  # fmt: skip
RESERVED = {"messages": "the first argument", "tools": "tools="}
"""Template variables that have an argument of their own."""


class Sampling(TypedDict, total=False):
    """Every field of SamplingParams; `SamplingParams` has their ranges and meaning."""

    max_tokens: int | None
    stop: str | Sequence[str]
    stop_token_ids: Sequence[int]
    ignore_eos: bool
    skip_special_tokens: bool
    seed: int | None
    n: int
    best_of: int | None
    adapter: str | Mapping[str, float] | None
    logprobs: bool
    top_logprobs: int
    temperature: float | None
    dynatemp_range: float | None
    dynatemp_exponent: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    tfs_z: float | None
    top_a: float | None
    top_n_sigma: float | None
    xtc_probability: float | None
    xtc_threshold: float | None
    repetition_penalty: float | None
    repetition_window: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    penalty_window: int | None
    dry_multiplier: float | None
    dry_base: float | None
    dry_allowed_length: int | None
    dry_range: int | None
    dry_sequence_breakers: str | Sequence[str] | None
    mirostat: int | None
    mirostat_tau: float | None
    mirostat_eta: float | None
    logit_bias: Mapping[int, float] | None
    suppress_tokens: Sequence[int] | None
    grammar: Grammar | Mapping[str, Any] | None
    sampler: str | None
    extra: Mapping[str, Mapping[str, float | int | str]]


def with_keywords(
    params: SamplingParams | None, given: Sampling, own: Iterable[str] = OWN, template: str = ""
) -> SamplingParams | None:
    """The parameters together with those that are keywords; None where there are neither.

    own: names of the caller's other arguments. template: the source of the chat template, if there
    is one, whose variables are not keywords. Raises RequestError for an unknown keyword, and for
    one that `params` sets too.
    """
    if params is not None and not isinstance(params, SamplingParams):
        raise RequestError(f"params must be a SamplingParams, not {type(params).__name__}")
    keywords = cast("dict[str, Any]", given)
    for name, value in keywords.items():
        if name not in SamplingParams.model_fields:
            raise RequestError(_unknown(name, value, tuple(own), template))
        if params is not None and name in params.model_fields_set:
            raise RequestError(f"{name} is given twice, in params and as a keyword; keep one")
    if not keywords:
        return params
    before = {} if params is None else {f: getattr(params, f) for f in params.model_fields_set}
    return SamplingParams(**before, **keywords)


def template_variables(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Variables of the chat template. Raises RequestError for what cannot be one."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise RequestError("template_variables must be a dict of values by name")
    for name, place in RESERVED.items():
        if name in given:
            raise RequestError(f"template_variables has {name!r}, which is passed as {place}")
    return dict(given)


def _unknown(name: str, value: Any, own: tuple[str, ...], template: str) -> str:
    problem = f"there is no parameter {name!r}"
    close = difflib.get_close_matches(name, [*SamplingParams.model_fields, *own], 1)
    if close and name not in template:
        return f"{problem}; did you mean {close[0]!r}?"
    if "template_variables" not in own:
        return problem
    return (
        f"{problem}; a variable of the chat template is passed as "
        f"template_variables={{{name!r}: {value!r:.40}}}"
    )
