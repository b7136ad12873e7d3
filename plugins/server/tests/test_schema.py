"""What /openapi.json promises is what the server does, tried with requests made from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from schemathesis import GenerationMode, checks
from tramontane_plugin_server import compatibility
from tramontane_plugin_server.app import build
from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.settings import read

from .live_server import Live, serving

MOST = 4
"""Tokens of an answer."""


def described() -> dict[str, Any]:
    """The description, without a server."""
    app: Any = build(Serving(read(None, {"max_new_tokens": MOST})))
    while not hasattr(app, "openapi"):
        app = app._app
    found: dict[str, Any] = app.openapi()
    return found


SCHEMA = schemathesis.openapi.from_dict(described())
CHECKS = [
    checks.not_a_server_error,
    schemathesis.specs.openapi.checks.status_code_conformance,
    schemathesis.specs.openapi.checks.content_type_conformance,
    schemathesis.specs.openapi.checks.response_schema_conformance,
    schemathesis.specs.openapi.checks.negative_data_rejection,
]
CHAT = "POST /v1/chat/completions"
UNLOADS = "/v1/models/unload"
NO_EXAMPLES = ("/v1/rerank", "/v1/score")
"""Every one of their requests is refused, as the embedded model only writes text."""
SHAPE = re.compile(
    r"(^|[\w.]+:? )(must (be|have|match) .*\(it is |is required$)"
    "|unknown parameter|mean the same|is for stream=true|requires logprobs=true|one of the two"
)
"""Refusals for what a schema can say, unlike the meaning of a text or what a model can do."""
BRIEF = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that answers in a few tokens."""
    folder = tmp_path_factory.mktemp("brief")
    with serving(folder, "--max-new-tokens", str(MOST)) as live:
        yield live


@SCHEMA.exclude(path=UNLOADS).parametrize()
@BRIEF
@pytest.mark.filterwarnings("ignore")  # of the generator's own
def test_any_request_gets_what_is_promised(case: schemathesis.Case, brief: Live) -> None:
    answer = case.call_and_validate(base_url=brief.url, checks=CHECKS)
    made_by = case.meta.generation.mode if case.meta else None
    if made_by is GenerationMode.POSITIVE and case.path not in (UNLOADS, *NO_EXAMPLES):
        assert answer.status_code != 400 or not SHAPE.search(answer.json()["error"]["message"])


def problems(request: type[BaseModel], body: Any) -> set[str]:
    """What is wrong with a body; value_error is a rule of several fields, refused too."""
    try:
        request.model_validate(json.loads(json.dumps(body)))
    except ValidationError as error:
        return {one["type"] for one in error.errors()}
    return set()


@pytest.mark.parametrize("route", compatibility.REQUESTS)
def test_what_the_description_allows_has_a_shape_that_is_taken(route: str) -> None:
    method, path = route.split()

    @BRIEF
    @given(case=SCHEMA[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def bodies(case: schemathesis.Case) -> None:
        assert problems(compatibility.REQUESTS[route], case.body) <= {"value_error", "refused"}

    bodies()


def test_the_description_has_the_limits_of_the_server() -> None:
    shapes = described()["components"]["schemas"]
    chat = shapes["ChatRequest"]["properties"]
    assert [one.get("maximum") for one in chat["n"]["anyOf"]] == [16, None]
    assert [one.get("maximum") for one in chat["max_tokens"]["anyOf"]] == [MOST, None]
    assert shapes["CompletionRequest"]["properties"]["max_tokens"]["default"] == MOST
    assert shapes["MessageRequest"]["properties"]["max_tokens"]["maximum"] == MOST


@pytest.mark.parametrize(
    ("grammar", "fits"),
    [
        ('root ::= "a"', True),
        ({"type": "gbnf", "value": 'root ::= "a"'}, True),
        ({"type": "json_object"}, True),
        ({"type": "json_schema", "value": {}}, True),
        ({"type": "gbnf"}, False),
        ({"type": "gbnf", "value": {}}, False),
        ({"type": "regex", "value": "a", "strict": True}, False),
        (3, False),
    ],
)
def test_the_description_has_the_grammars_that_are_taken(grammar: Any, fits: bool) -> None:
    schema = described()["components"]["schemas"]["ChatRequest"]["properties"]["grammar"]
    found = problems(compatibility.REQUESTS[CHAT], {"messages": "x", "grammar": grammar})
    assert Draft202012Validator(schema).is_valid(grammar) == (not found) == fits


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": "Hi", "max_tokens": 4.0, "stop_token_ids": [8.0]}),
        ("/v1/completions", {"prompt": [[1.0, 359.0]], "max_tokens": 2.0, "seed": 0.0}),
        ("/v1/completions", {"prompt": "Once"}),  # its default is more than this server gives
        ("/detokenize", {"tokens": [98.0]}),
    ],
)
def test_integers_may_be_written_with_a_point(brief: Live, path: str, body: Any) -> None:
    with brief.client() as client:
        assert client.post(path, json=body).status_code == 200
        half = client.post("/detokenize", json={"tokens": [98.5]}).json()["error"]["message"]
        assert half == "tokens.0: must be an integer (it is 98.5)"
