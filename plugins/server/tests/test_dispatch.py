"""Calls that are sent to an address: what comes back is bounded, and trouble is told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat.toolbox import LONGEST_RESULT, Toolbox
from tramontane.errors import ConfigError
from tramontane.tools import Tool, ToolCall
from tramontane_plugin_server.dispatch import Dispatch, read_tools
from tramontane_plugin_server.settings import read, written

from .tool_server import Asked, tool_server

CERTIFICATE = Path(__file__).with_name("localhost.pem")
WEATHER = {"name": "get_weather", "parameters": {"type": "object"}}
CALL = ToolCall("get_weather", '{"city": "Oslo", "self": 1}')


@pytest.fixture(scope="module")
def there() -> Iterator[Asked]:
    with tool_server() as found:
        yield found


def said(url: str, calls: int = 1, **settings: Any) -> list[str]:
    """What a model is told of calls that are made at once."""

    async def ask() -> list[str]:
        dispatch = Dispatch(
            read(None, {"tool_dispatch_url": url, "tool_dispatch_names": ["*"], **settings})
        )
        functions = dispatch.functions([Tool(**WEATHER)])
        try:
            return await Toolbox(functions).run_async([CALL] * calls)
        finally:
            await dispatch.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("content", "get_weather of city=Oslo, self=1"),
        ("object", '{"degrees": 21}'),
        ("text", "it rains, ça va\x00"),
        ("string", "it rains"),
        ("bytes", "\ufffd\ufffd rain"),
        ("empty", ""),
    ],
)
def test_an_answer_is_the_content_of_an_object_or_the_text(
    there: Asked, path: str, answer: str
) -> None:
    assert said(f"{there.url}/{path}") == [answer]
    headers, body = there.asked[-1]
    assert body == {"name": "get_weather", "arguments": {"city": "Oslo", "self": 1}}
    assert headers["Content-Type"] == "application/json"


def test_a_long_answer_is_cut(there: Asked) -> None:
    (found,) = said(f"{there.url}/long")
    assert len(found) < LONGEST_RESULT + 100
    assert found.endswith("(cut off: 100000 characters)")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("500", "error: get_weather: the tool server answered 500: <h1>it is broken</h1>xxx"),
        ("302", "answered 302, and redirects are not followed"),
        ("huge", "the tool server's answer is longer than 1,048,576 bytes"),
        ("packed", "the tool server's answer is compressed (gzip)"),
        ("nothing", "error: get_weather: the tool server failed: "),
        ("nonsense", "error: get_weather: the tool server failed: "),
    ],
)
def test_what_goes_wrong_is_told(
    there: Asked, path: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(there.asked)
    (found,) = said(f"{there.url}/{path}")
    assert why in found
    assert len(found) < 700
    assert len(there.asked) == before + 1  # nothing is asked twice, or elsewhere
    assert "get_weather" in caplog.text  # the owner hears of it too


@pytest.mark.parametrize("path", ["slow", "drip"])
def test_a_tool_that_hangs_is_cut_off(there: Asked, path: str) -> None:
    (found,) = said(f"{there.url}/{path}", tool_dispatch_timeout=0.3)
    assert found == "error: get_weather gave no answer within 0.3 s"


def test_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # is nobody's to be asked
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    (found,) = said(f"http://127.0.0.1:{port}/content")
    assert found.startswith("error: get_weather: the tool server failed: ")


def test_no_more_calls_at_once_than_allowed(there: Asked) -> None:
    there.most = 0
    assert said(f"{there.url}/while", calls=6, tool_dispatch_concurrency=2) == ["ok"] * 6
    assert there.most == 2


def test_headers_are_sent_and_may_come_from_the_environment(
    there: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_TOKEN", "t0ken")
    lines = ["Authorization: Bearer ${TOOL_TOKEN}", "x-place: ${PLACE:-here}"]
    said(f"{there.url}/content", tool_dispatch_header=lines)
    headers, _ = there.asked[-1]
    sent = {name.lower(): value for name, value in headers.items()}
    assert (sent["authorization"], sent["x-place"]) == ("Bearer t0ken", "here")


def test_only_a_certificate_that_is_trusted() -> None:
    with tool_server(CERTIFICATE) as there:
        (refused,) = said(f"{there.url}/content")
        assert "certificate" in refused
        assert not there.asked
        (found,) = said(f"{there.url}/content", tool_dispatch_ca=CERTIFICATE)
        assert found.startswith("get_weather of")


def dispatch(tmp_path: Path, *names: str) -> Dispatch:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([{"type": "function", "function": WEATHER}]))
    given = {"tool_dispatch_url": "http://127.0.0.1:1/", "tool_dispatch_tools": path}
    return Dispatch(read(None, {**given, "tool_dispatch_names": names}))


@pytest.mark.parametrize(
    ("names", "theirs", "runs"),
    [
        ((), [], ["get_weather"]),
        ((), ["mine"], ["get_weather"]),
        ((), ["get_weather"], []),  # the client's own, to which the call goes back
        (("mine",), ["mine", "other"], ["mine", "get_weather"]),
        (("*",), ["mine", "get_weather"], ["mine", "get_weather"]),
    ],
)
def test_a_requests_tools_are_its_own_unless_the_owner_says_otherwise(
    tmp_path: Path, names: tuple[str, ...], theirs: list[str], runs: list[str]
) -> None:
    tools = [Tool(name=name, description="theirs") for name in theirs]
    functions = dispatch(tmp_path, *names).functions(tools)
    assert [function.tool.name for function in functions] == runs
    for function in functions:
        if function.tool.name in theirs:
            assert function.tool.description == "theirs"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "is not JSON"),
        ("[]", "should be a list of tools"),
        ('{"a": 1}', "should be a list of tools"),
        ('[{"name": "a"}]', "tool 0.type is required"),
        ('[{"type": "function", "name": "a", "nam": 1}]', "tool 0: unknown field 'nam'"),
        ('[{"type": "web_search"}]', "tool 0: only functions"),
        ('[{"type": "function", "name": "a b"}]', "tool 'a b': a name has letters"),
        ('[{"type": "function", "name": "a"}, {"type": "function", "name": "a"}]', "'a'"),
    ],
)
def test_a_file_of_tools_that_is_wrong_says_where(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "tools.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"tools\.json") as found:
        read_tools(path)
    assert why in str(found.value)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tool_dispatch_url": "http://x/"}, "says where calls go, not which"),
        ({"tool_dispatch_names": ["*"]}, "tool_dispatch_url is not set"),
        ({"tool_dispatch_url": "x/y", "tool_dispatch_names": ["*"]}, "should be http://HOST/PATH"),
        ({"tool_dispatch_url": "ftp://x", "tool_dispatch_names": ["*"]}, "should be http://"),
        ({"tool_dispatch_url": "http://x:y/", "tool_dispatch_names": ["*"]}, "should be http://"),
        ({"tool_dispatch_url": "http://a:b@x/", "tool_dispatch_names": ["*"]}, "_header"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as found:
        read(None, given)
    assert why in str(found.value)


@pytest.mark.parametrize("line", ["nothing", "a b: c", "a: ", "a: b\r\nc: d", ": x"])
def test_a_header_that_is_none_is_refused_without_its_value(line: str) -> None:
    given = {"tool_dispatch_url": "http://x/", "tool_dispatch_names": ["*"]}
    with pytest.raises(ConfigError, match="'NAME: VALUE'"):
        Dispatch(read(None, {**given, "tool_dispatch_header": [line]}))


def test_headers_are_not_printed() -> None:
    given = {"tool_dispatch_url": "http://x/", "tool_dispatch_names": ["*"]}
    text = written(read(None, {**given, "tool_dispatch_header": ["a: s3cret"]}))
    assert "s3cret" not in text
    assert 'tool_dispatch_url = "http://x/"' in text
