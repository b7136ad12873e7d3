"""The embedded model really calls: Python functions and a server on stdio, and says the results.

The cities, numbers and words here are in no document that it was trained on.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from tramontane import LLM, SamplingParams
from tramontane.answers import Answer

ROOT = Path(__file__).parents[1]
ADDER = ROOT / "plugins/mcp/tests/adder.py"
GREEDY = SamplingParams(temperature=0, max_tokens=120)


def get_weather(city: str, days: int = 1) -> str:
    """The weather in a city.

    Args:
        city: where
        days: for how long
    """
    return {"Lisbon": "sunny, 23 degrees", "Tallinn": "snow"}.get(city, f"rain for {days} days")


def read_file(path: str) -> str:
    """Read a file."""
    raise FileNotFoundError(f"no such file: {path}")


@pytest.fixture(scope="module")
def llm():
    with LLM() as llm:
        yield llm


def made(answer):
    """The calls of a conversation, in order."""
    calls = [call for message in answer.added for call in message.get("tool_calls") or ()]
    functions = [call["function"] for call in calls]
    return [(function["name"], json.loads(function["arguments"])) for function in functions]


def test_a_function_is_called_and_its_result_said(llm):
    answer = llm.chat("What is the weather in Lisbon?", GREEDY, tools=[get_weather, read_file])
    assert made(answer) == [("get_weather", {"city": "Lisbon"})]
    assert "Lisbon" in answer.content
    assert "sunny, 23 degrees" in answer.content


def test_an_optional_argument_is_given_when_it_is_asked_for(llm):
    answer = llm.chat("Weather in Winnipeg for 5 days", GREEDY, tools=[get_weather])
    assert made(answer) == [("get_weather", {"city": "Winnipeg", "days": 5})]
    assert "rain" in answer.content


def test_two_calls_in_one_answer(llm):
    answer = llm.chat("What is the weather in Lisbon and Tallinn?", GREEDY, tools=[get_weather])
    assert made(answer) == [("get_weather", {"city": city}) for city in ("Lisbon", "Tallinn")]
    assert [message["role"] for message in answer.added] == ["assistant", "tool", "tool"]
    assert "sunny" in answer.content
    assert "snow" in answer.content


@pytest.mark.parametrize("said", ["hello", "Tell me a joke", "how do I list the plugins?"])
def test_no_call_where_none_is_asked_for(llm, said):
    answer = llm.chat(said, GREEDY, tools=[get_weather, read_file])
    assert made(answer) == []
    assert answer.content


def test_a_failure_is_told(llm):
    answer = llm.chat("What is in the file quoll.txt?", GREEDY, tools=[get_weather, read_file])
    assert made(answer) == [("read_file", {"path": "quoll.txt"})]
    assert "That did not work" in answer.content


def test_a_stream_has_the_call(llm):
    chunks = llm.chat("How is the weather in Nairobi?", GREEDY, tools=[get_weather], stream=True)
    answer = Answer.of(delta for chunk in chunks for delta in chunk.deltas)
    assert [(call.name, call.arguments) for call in answer.calls] == [
        ("get_weather", '{"city": "Nairobi"}')
    ]


def test_a_call_that_is_required_is_made_of_what_there_is(llm):
    asked = {"tools": [get_weather], "tool_choice": "required", "max_tool_rounds": 1}
    ((name, arguments),) = made(llm.chat("Hello, I am in Zagreb.", GREEDY, **asked))
    assert name == "get_weather"
    assert "city" in arguments


def test_a_schema_is_filled_from_the_sentence(llm):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    question = "Extract the name and the age as JSON: Quentin is 41 years old."
    assert json.loads(llm.chat(question, GREEDY, schema=schema).text) == {
        "name": "Quentin", "age": 41,
    }  # fmt: skip


@pytest.fixture
def servers():
    pytest.importorskip("mcp")
    adder = {"command": sys.executable, "args": [str(ADDER), "stdio"], "allow": ["add"]}
    return {"mcpServers": {"adder": adder}}


def test_a_server_on_stdio_answers(servers):
    with LLM(mcp=servers) as llm:
        answer = llm.chat("What is 4816 plus 357?", GREEDY)
    assert made(answer) == [("add", {"a": 4816, "b": 357})]
    assert "5173" in answer.content


def test_the_command_answers_through_a_server(servers, run, tmp_path):
    path = tmp_path / "servers.json"
    path.write_text(json.dumps(servers))
    options = ("--mcp-config", path, "--temperature", "0", "--quiet")
    status, out, err = run("run", *options, "-i", "Add 62 and 935")
    assert status == 0
    assert "997" in out
    assert '[add({"a": 62, "b": 935})]' in err


def test_a_server_that_is_down_ends_the_command(run, tmp_path):
    pytest.importorskip("mcp")
    path = tmp_path / "servers.json"
    for required, expected in ((None, 1), (True, 1), (False, 0)):
        gone = {"command": "/no/such/program"}
        gone |= {} if required is None else {"required": required}
        path.write_text(json.dumps({"mcpServers": {"gone": gone}}))
        status, out, err = run("run", "--mcp-config", path, "-i", "hi", "-n", "2", "--quiet")
        assert (status, bool(out)) == (expected, not expected)
        assert ("gone is required, and is down" in err) == bool(expected)


def test_the_readme_shows_what_happens(run, tmp_path, monkeypatch):
    pytest.importorskip("mcp")
    readme = (ROOT / "README.md").read_text()
    for name, text in re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", readme, re.M | re.S):
        (tmp_path / name).write_text(text)
    # "python" is this environment's, whatever PATH has
    monkeypatch.setenv("PATH", str(tmp_path))
    command, said = re.findall(r"^\$ \./dev (.+?)\n(.*?)^```$", readme, re.M | re.S)[0]
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*shlex.split(command))
    assert status == 0
    assert err + out == said
