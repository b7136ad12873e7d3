"""What SamplingParams takes, refuses, and fills from a model's configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from tramontane.errors import RequestError
from tramontane.sampling_params import RESTING, SamplingParams


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temprature": 1}, "there is no parameter 'temprature'; did you mean 'temperature'?"),
        ({"adapter": 7}, "adapter=7: must be an adapter's name, several with weights such as"),
        ({"adapter": {"a": "x"}}, "adapter={'a': 'x'}: must be an adapter's name"),
        ({"adapter": {7: 1}}, "adapter={7: 1}: must be an adapter's name"),
        ({"adapter": ["a"]}, "adapter=['a']: must be an adapter's name"),
        ({"top_p": 1.5}, "top_p=1.5: must be less than or equal to 1"),
        ({"top_k": 1.5}, "top_k=1.5: must be a valid integer"),
        ({"top_k": True}, "top_k=True: must be a valid integer"),
        ({"temperature": "1"}, "temperature='1': must be a valid number"),
        ({"min_p": math.nan}, "min_p=nan: must be a finite number"),
        ({"stop": [""]}, "stop.0='': string must have at least 1 character"),
        ({"logit_bias": {5: 200.0}}, "logit_bias.5=200.0: must be from -100 to 100, or -inf"),
        ({"top_logprobs": 3}, "top_logprobs=3 needs logprobs=True"),
        ({"n": 0, "seed": -1}, "seed=-1: must be greater than or equal to 0 (and 1 more)"),
        ({"stop": ["x"] * 65}, "stop=['x', 'x', "),
        ({"extra": {"a": {"b": math.inf}}}, "extra.a.b=inf: must be a finite number (and 2 more)"),
    ],
)
def test_a_wrong_parameter_is_one_readable_line(given: dict[str, Any], said: str) -> None:
    makers: list[Callable[[], SamplingParams]] = [
        lambda: SamplingParams(**given),
        lambda: SamplingParams.model_validate(given),
    ]
    for make in makers:
        with pytest.raises(RequestError) as caught:
            make()
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "pydantic" not in str(caught.value)


def test_parameters_read_json_and_singles() -> None:
    params = SamplingParams.model_validate_json('{"stop": "x", "logit_bias": {"5": -1}}')
    assert params.stops == ("x",)
    assert params.logit_bias == {5: -1.0}
    assert SamplingParams(stop=None).stops == ()
    assert SamplingParams(logit_bias={5: -math.inf}).logit_bias == {5: -math.inf}


def test_every_sampler_field_rests_at_a_valid_value() -> None:
    given = {name: value for name, value in RESTING.items() if value is not None}
    assert SamplingParams(**RESTING).sampler_fields() == given
    assert SamplingParams().sampler_fields() == {}


GENERATION = {
    "do_sample": True,
    "temperature": 0.6,
    "top_p": 0.9,
    "top_k": 20,
    "repetition_penalty": 1.05,
    "suppress_tokens": [3],
}
ALWAYS = {"repetition_penalty": 1.05, "repetition_window": -1, "suppress_tokens": (3,)}


@pytest.mark.parametrize(
    ("given", "generation", "filled"),
    [
        ({}, {}, {}),
        ({}, GENERATION, {**ALWAYS, "temperature": 0.6, "top_p": 0.9, "top_k": 20}),
        ({"top_k": 5, "repetition_penalty": 1.2}, {"top_k": 20, "repetition_penalty": 1.1},
         {"top_k": 5, "repetition_penalty": 1.2}),
        ({"temperature": 0.0}, GENERATION, {**ALWAYS, "temperature": 0.0}),
        ({}, {**GENERATION, "do_sample": False}, ALWAYS),
        ({}, {"top_p": 0.9}, {}),
        ({}, {"do_sample": True}, {"temperature": 1.0}),
        ({}, {"temperature": 0.7, "top_k": None}, {"temperature": 0.7}),
        ({"mirostat": 2}, GENERATION, {**ALWAYS, "mirostat": 2}),
        ({"sampler": "top_k"}, GENERATION, {"suppress_tokens": (3,)}),
    ],
)  # fmt: skip
def test_what_a_model_configures_fills_what_is_not_given(
    given: dict[str, Any], generation: dict[str, Any], filled: dict[str, Any]
) -> None:
    assert SamplingParams(**given).with_defaults(generation).sampler_fields() == filled


def test_a_wrong_generation_config_is_named() -> None:
    with pytest.raises(RequestError, match=r"generation_config.json: temperature=-1: .* override"):
        SamplingParams().with_defaults({"temperature": -1})
