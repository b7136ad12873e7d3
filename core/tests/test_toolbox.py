"""Python functions as tools: their schema, how calls are run, and what the model is told."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from pydantic import BaseModel
from tramontane.chat.toolbox import LONGEST_RESULT, Function, Toolbox, function_tool
from tramontane.errors import RequestError
from tramontane.tools import Tool, ToolCall


class Place(BaseModel):
    city: str
    zip: int | None = None


def book(place: Place, nights: int, breakfast: bool = False) -> dict:
    """Book a room.

    At once, without asking.

    Args:
        place: where to sleep
        nights (int): how many
    """
    return {"city": place.city, "nights": nights, "breakfast": breakfast}


def test_the_schema_is_of_the_signature_and_the_docstring():
    tool = function_tool(book).tool
    assert tool.name == "book"
    assert tool.description == "Book a room.\n\nAt once, without asking."
    properties = tool.parameters["properties"]
    assert list(properties) == ["place", "nights", "breakfast"]
    assert properties["nights"] == {"type": "integer", "description": "how many"}
    assert properties["place"]["description"] == "where to sleep"
    assert tool.parameters["required"] == ["place", "nights"]
    assert tool.parameters["additionalProperties"] is False


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(name, arguments)


def both(toolbox: Toolbox, calls: list[ToolCall]) -> list[str]:
    """The results, which are the same in both faces."""
    results = toolbox.run(calls)
    assert asyncio.run(toolbox.run_async(calls)) == results
    return results


def test_arguments_become_what_the_signature_says():
    (result,) = both(Toolbox([book]), [call("book", '{"place": {"city": "Oslo"}, "nights": 2}')])
    assert result == '{"city": "Oslo", "nights": 2, "breakfast": false}'


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (call("book", '{"nights": "two"}'), "error: book: place: Field required; nights: "),
        (call("book", '{"place": {"city": "x"}, "nights": 1, "x": 1}'), "x: Extra inputs"),
        (call("unknown"), "error: there is no tool 'unknown'; there are: book"),
    ],
)
def test_what_is_wrong_is_told_to_the_model(asked, told):
    (result,) = both(Toolbox([book]), [asked])
    assert told in result


def test_errors_are_told_and_harm_no_other_call():
    def fail() -> None:
        raise KeyError("nothing")

    def work() -> str:
        return "done"

    results = both(Toolbox([fail, work]), [call("fail"), call("work")])
    assert results == ["error: fail failed: KeyError: 'nothing'", "done"]


def test_a_tool_that_hangs_is_cut_off():
    release = threading.Event()

    def hang() -> None:
        release.wait(60)

    async def hang_too() -> None:
        await asyncio.sleep(60)

    toolbox = Toolbox([hang, hang_too], timeout=0.05)
    told = [f"error: {name} gave no answer within 0.05 s" for name in ("hang", "hang_too")]
    assert both(toolbox, [call("hang"), call("hang_too")]) == told
    release.set()


def test_calls_of_one_answer_run_at_once():
    met = threading.Barrier(3)

    def meet() -> str:
        met.wait(30)  # each waits for the others, so one after another would never end
        return "met"

    assert Toolbox([meet]).run([call("meet")] * 3) == ["met"] * 3


def test_a_coroutine_function_runs_in_both_faces():
    async def later() -> str:
        await asyncio.sleep(0)
        return "later"

    assert both(Toolbox([later]), [call("later")]) == ["later"]


def test_results_are_bounded():
    def long() -> str:
        return "x" * (LONGEST_RESULT + 1)

    (result,) = Toolbox([long]).run([call("long")])
    assert result.endswith(f"(cut off: {LONGEST_RESULT + 1} characters)")
    assert len(result) < LONGEST_RESULT + 100


def test_only_allowed_tools_run():
    def first() -> str:
        return "first"

    def second() -> str:
        return "second"

    toolbox = Toolbox([first, second], choice=["second"])
    assert [tool.name for tool in toolbox.offered] == ["second"]
    results = toolbox.run([call("first"), call("second")])
    assert results == ["error: there is no tool 'first'; there are: second", "second"]
    assert Toolbox([first], choice="none").offered == []


def test_a_refusal_keeps_the_function_from_running():
    ran = []

    def act() -> None:
        ran.append(time.time())

    toolbox = Toolbox([act], approve=lambda asked: False)
    assert both(toolbox, [call("act")]) == ["error: the user does not allow this call"]
    assert ran == []


def test_calls_of_what_only_has_a_schema_are_for_others():
    toolbox = Toolbox([Tool(name="theirs"), book])
    assert toolbox.runs([call("book")])
    assert not toolbox.runs([call("book"), call("theirs")])
    assert not toolbox.runs([])


def test_a_function_of_ones_own_schema_takes_arguments_as_they_are():
    given = []
    tool = Tool(name="raw", parameters={"type": "object"})

    def take(**arguments: object) -> str:
        given.append(arguments)
        return "ok"

    assert Toolbox([Function(tool, take)]).run([call("raw", '{"a": [1]}')]) == ["ok"]
    assert given == [{"a": [1]}]


def test_a_type_without_a_schema_is_refused():
    def bad(lock: threading.Event) -> None: ...

    with pytest.raises(RequestError, match="tool bad: its parameters have no schema"):
        function_tool(bad)


@pytest.mark.parametrize("name", ["", "two words", "a(b", 'say "x"', "<tool_call>"])
def test_a_name_that_no_syntax_can_write_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="a name has letters, digits and any of"):
        Toolbox([Tool(name=name)])


def test_arguments_are_an_object() -> None:
    with pytest.raises(RequestError, match="tool f: its parameters should be an object, not 'arr"):
        Toolbox([{"name": "f", "parameters": {"type": "array"}}])
    assert Toolbox([{"name": "f", "parameters": {"type": ["object", "null"]}}]).offered


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_no_time_at_all_is_refused(timeout: float) -> None:
    with pytest.raises(RequestError, match="tool_timeout="):
        Toolbox([Tool(name="f")], timeout=timeout)
