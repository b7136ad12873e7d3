"""Structured output and forced calls over a vocabulary of every kind, in Python and over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from tramontane import LLM, SamplingParams
from tramontane.errors import RequestError

from .load.run import server
from .structured import held, matched
from .tiny import write_model
from .vocabularies import KINDS, LACKING, writer

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Oslo", "Rome"]},
        "days": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9},
                 "minItems": 1, "maxItems": 3},
        "note": {"type": "string", "maxLength": 6, "pattern": "^[a-z]*$"},
        "sure": {"type": "boolean"},
    },
    "required": ["city", "days", "note", "sure"],
    "additionalProperties": False,
}  # fmt: skip
PATTERNS = ["Hello there", "( |x)b", "[ab]{3} : [0-9]{2}", '[{]"a": "b"}']
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA}}
    for name in ("report", "other")
]
MESSAGES = [{"role": "user", "content": "hi"}]
LONG = SamplingParams(max_tokens=600, seed=5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A random model for each kind."""
    made = {**KINDS, **{name: kind for name, (kind, _) in LACKING.items()}}
    folders = {}
    for name, kind in made.items():
        folders[name] = tmp_path_factory.mktemp("kinds") / name
        write_model(folders[name], max_position_embeddings=1024, tokenizer=writer(kind))
    return folders


@pytest.fixture(scope="module")
def url(folders):
    named = [
        part for name, folder in folders.items() for part in ("-m", str(folder), "--name", name)
    ]
    with server("--device", "reference", "--kv-tokens", "4096", *named) as (url, _):
        yield url


def post(url: str, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    data = json.dumps({"max_tokens": 600, "seed": 5, **body}).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_python_keeps_to_schemas_and_patterns(folders, kind):
    with LLM(folders[kind], device="reference", kv_tokens=4096) as llm:
        for seed in range(3):
            params = SamplingParams(max_tokens=600, seed=seed)
            answer = llm.generate("hi", params, schema=SCHEMA)
            held(answer.text, answer.finish_reason, SCHEMA)
            for pattern in PATTERNS:
                if kind == "wordpiece" and " " in pattern:
                    continue  # it has no space but in front of a word
                grammar = {"type": "regex", "value": pattern}
                answer = llm.generate(
                    "hi", SamplingParams(max_tokens=60, seed=seed, grammar=grammar)
                )
                matched(answer.text, answer.finish_reason, pattern)
        for choice in ("required", "report"):
            answer = llm.chat(
                MESSAGES, LONG, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False
            )
            assert answer.finish_reason == "stop"
            assert answer.tool_calls
            for call in answer.tool_calls:
                held(call.arguments, "tool_calls", SCHEMA)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_keeps_to_schemas_and_calls(url, kind):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    status, body = post(url, "/v1/chat/completions", model=kind, messages=MESSAGES,
                        response_format=form)  # fmt: skip
    assert status == 200, body
    choice = body["choices"][0]
    held(choice["message"]["content"], choice["finish_reason"], SCHEMA)
    named = {"type": "function", "function": {"name": "report"}}
    for wanted in ("required", named):
        status, body = post(url, "/v1/chat/completions", model=kind, messages=MESSAGES,
                            tools=TOOLS, tool_choice=wanted, parallel_tool_calls=False)  # fmt: skip
        assert status == 200, body
        choice = body["choices"][0]
        (call,) = choice["message"]["tool_calls"]
        held(call["function"]["arguments"], choice["finish_reason"], SCHEMA)
    grammar = {"type": "regex", "value": "[ab]{3}:[0-9]{2}"}
    status, body = post(url, "/v1/completions", model=kind, prompt="hi", grammar=grammar)
    assert status == 200, body
    matched(body["choices"][0]["text"], body["choices"][0]["finish_reason"], grammar["value"])


@pytest.mark.parametrize("kind", LACKING)
def test_a_character_that_no_token_has_is_named(folders, url, kind):
    told = f"this model's vocabulary cannot write '{LACKING[kind][1]}'"
    with (
        LLM(folders[kind], device="reference", kv_tokens=4096) as llm,
        pytest.raises(RequestError, match=told),
    ):
        llm.generate("hi", LONG, schema=SCHEMA)
    for asked in (
        {"response_format": {"type": "json_object"}},
        {"tools": TOOLS, "tool_choice": "required"},
    ):
        status, body = post(url, "/v1/chat/completions", model=kind, messages=MESSAGES, **asked)
        assert (status, told in body["error"]["message"]) == (400, True), body
    grammar = {"type": "regex", "value": "\u65e5|[ab]{2}"}  # where there is another way it is gone
    status, body = post(url, "/v1/completions", model=kind, prompt="hi", grammar=grammar)
    assert status == 200, body
    matched(body["choices"][0]["text"], body["choices"][0]["finish_reason"], "[ab]{2}")


def test_a_space_in_front_is_part_of_the_text_where_it_is_asked_for(folders):
    with LLM(folders["sentencepiece-bpe"], device="reference", kv_tokens=4096) as llm:
        for pattern in (" yes", "  two", " ?[ab]"):
            params = SamplingParams(max_tokens=20, grammar={"type": "regex", "value": pattern})
            answer = llm.generate("hi", params)
            matched(answer.text, answer.finish_reason, pattern)
