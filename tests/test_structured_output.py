"""Structured output through the engine: whatever a model with random weights says, it is right."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from pydantic import BaseModel
from tramontane import LLM, AsyncLLM, SamplingParams
from tramontane.errors import RequestError
from tramontane.results import Completion

from .structured import held, matched
from .tiny import write_model

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Oslo", "Rome"]},
        "days": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9},
                 "minItems": 1, "maxItems": 3},
        "sure": {"type": "boolean"},
    },
    "required": ["city", "days", "sure"],
    "additionalProperties": False,
}  # fmt: skip


class Forecast(BaseModel):
    city: Literal["Oslo", "Rome"]
    wet: bool


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With room for what a model writes that likes blanks best."""
    folder = tmp_path_factory.mktemp("roomy")
    write_model(folder, max_position_embeddings=1024)
    return folder


@pytest.fixture(scope="module")
def llm(model):
    with LLM(model, device="reference", kv_tokens=4096) as llm:
        yield llm


SAMPLERS = [
    {}, {"temperature": 0}, {"temperature": 5.0}, {"mirostat": 2}, {"top_k": 1}, {"min_p": 0.5},
    {"repetition_penalty": 1.5, "temperature": 1.0}, {"dry_multiplier": 2.0, "temperature": 1.0},
    {"sampler": "temperature:3/top_k:5/xtc:0.5"}, {"logit_bias": {65: 50.0}, "temperature": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_every_sampler_obeys_the_schema(llm, sampler):
    params = SamplingParams(max_tokens=900, seed=3, **sampler)
    answer = llm.generate("x", params, schema=SCHEMA)
    # only blanks are without end for a model that has no sense, and those have a bound
    assert held(answer.text, answer.finish_reason, SCHEMA) == answer.parsed


def test_several_answers_are_each_right_and_differ(llm):
    params = SamplingParams(max_tokens=900, seed=1, n=6, temperature=1.0)
    answer = llm.generate("x", params, schema=SCHEMA)
    values = [held(choice.text, choice.finish_reason, SCHEMA) for choice in answer.choices]
    assert len({choice.text for choice in answer.choices}) > 1
    assert [answer.value(i) for i in range(6)] == values


def test_requests_of_a_batch_have_grammars_of_their_own(llm):
    patterns = ["[0-9]{8}", "(ab)+c", "x{20}", "[é日]{3}"]

    def ask(pattern: str) -> str:
        params = SamplingParams(
            max_tokens=120, temperature=1.0, seed=2, grammar={"type": "regex", "value": pattern}
        )
        answer = llm.generate("x", params)
        matched(answer.text, answer.finish_reason, pattern)
        return str(answer.text)

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(ask, patterns * 4))
    assert texts[:4] == [ask(pattern) for pattern in patterns]  # the same alone as in a batch


def test_a_stop_string_ends_a_constrained_text(llm):
    params = SamplingParams(
        max_tokens=50, stop="d", grammar={"type": "regex", "value": "[a-c]{3}d[e-g]{3}"}
    )
    answer = llm.generate("x", params)
    assert re.fullmatch("[a-c]{3}", answer.text)
    assert answer.finish_reason == "stop"


def test_a_model_of_pydantic_comes_back_as_its_instance(llm):
    answer = llm.chat("Weather?", SamplingParams(max_tokens=900, seed=4), schema=Forecast)
    assert isinstance(answer.parsed, Forecast)
    held(answer.text, answer.finish_reason, Forecast.model_json_schema())
    assert answer.parsed == Forecast(**json.loads(answer.text))


def test_any_type_of_pydantic_is_a_schema(llm):
    answer = llm.generate("x", SamplingParams(max_tokens=60, seed=1), schema=bool)
    assert answer.parsed is (answer.text == "true")


def test_an_answer_that_is_cut_off_says_so(llm):
    answer = llm.generate("x", SamplingParams(max_tokens=3), schema=SCHEMA)
    assert answer.finish_reason == "length"
    with pytest.raises(RequestError, match=r"truncated after 3 tokens .*'length'"):
        _ = answer.parsed


def test_a_stream_is_constrained_too(llm):
    params = SamplingParams(max_tokens=900, seed=8)
    chunks = list(llm.generate("x", params, schema=SCHEMA, stream=True))
    assert chunks[-1].result is not None
    held("".join(chunk.text for chunk in chunks), chunks[-1].result.finish_reason, SCHEMA)


def test_async_too(model):
    async def ask() -> list[Completion]:
        async with AsyncLLM(model, device="reference", kv_tokens=4096) as llm:
            params = SamplingParams(max_tokens=900, seed=5)
            asked = [llm.chat(f"{i}", params, schema=SCHEMA) for i in range(3)]
            return await asyncio.gather(*asked)

    for answer in asyncio.run(ask()):
        held(answer.text, answer.finish_reason, SCHEMA)


@pytest.mark.parametrize(
    ("params", "schema", "told"),
    [
        ({}, {"uniqueItems": True}, "#/uniqueItems"),
        ({"grammar": {"type": "json_object"}}, SCHEMA, "exclude each other"),
        ({}, 5, "neither a dict nor a model"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(llm, params, schema, told):
    with pytest.raises(RequestError, match=told):
        llm.generate("x", SamplingParams(**params), schema=schema)


def test_a_grammar_and_no_end_exclude_each_other():
    with pytest.raises(RequestError, match="ignore_eos"):
        SamplingParams(ignore_eos=True, grammar={"type": "json_object"})


def test_no_schema_no_value(llm):
    with pytest.raises(RequestError, match="schema="):
        _ = llm.generate("x", SamplingParams(max_tokens=1)).parsed


COMMAND = ("run", "--device", "reference", "-i", "x", "--quiet", "--seed", "3", "-n", "900")


def test_the_command_takes_a_schema_and_its_file(run, model, tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    for said in (path, json.dumps(SCHEMA)):
        status, out, _ = run(*COMMAND, "-m", model, "--json-schema", said)
        assert status == 0
        held(out, "stop", SCHEMA)


def test_the_command_takes_grammars(run, model, tmp_path):
    path = tmp_path / "digits.lark"
    path.write_text("start: /[0-9]{7}/")
    for said, pattern in (("regex:[ab]{9}", "[ab]{9}"), (f"lark:@{path}", "[0-9]{7}")):
        status, out, _ = run(*COMMAND, "-m", model, "--grammar", said)
        assert status == 0
        assert re.fullmatch(pattern, out.strip())


@pytest.mark.parametrize(
    ("option", "said", "told"),
    [
        ("--json-schema", "missing.json", "cannot read missing.json"),
        ("--json-schema", "{nonsense", "--json-schema is not JSON"),
        ("--grammar", "bnf:x", "is not json, regex:TEXT"),
        ("--grammar", "regex:(", "regex grammar"),
    ],
)
def test_the_command_refuses_in_one_line(run, model, option, said, told):
    status, _, err = run(*COMMAND, "-m", model, option, said)
    assert status == 1
    assert told in err
    assert len(err.splitlines()) == 1
