"""Search: engines, what may be read, and which passages are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import RequestError, TramontaneError, UsageError
from tramontane.plugin import Toolset, load
from tramontane.registry import Registry
from tramontane.tools import ToolResult
from tramontane.toolset import ToolContext
from tramontane_plugin_agent.search import engines, toolset
from tramontane_plugin_agent.search.engines import engine_of
from tramontane_plugin_agent.search.pages import Page, Reader
from tramontane_plugin_agent.search.ranking import LONGEST, passages_of, ranked

from .conftest import Web

OFFER = Registry().get(Toolset, "search")
DEFAULTS = dict(OFFER.options)


def ran(folder: Path, tool: str, given: dict[str, Any], **arguments: Any) -> ToolResult:
    """One call of a tool. given: options."""

    async def once() -> ToolResult:
        context = ToolContext(conversation="one", folder=folder, options={**DEFAULTS, **given})
        async with load(OFFER.open)(context) as session:
            function = next(one for one in session.functions() if one.tool.name == tool)
            found: ToolResult = await function.run(**arguments)
            return found

    return asyncio.run(once())


def article(text: str) -> str:
    return f"<html><title>T</title><body><article><p>{text}</p></article></body></html>"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0/", "http://192.168.1.1/",
        "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://127.1/", "http://0x7f.1/",
        "file:///etc/passwd", "ftp://127.0.0.1/", "http://user@127.0.0.1/", "gopher://a/",
        "http://127.0.0.1:22/", "javascript:1", "", "http://\n127.0.0.1/",
    ],
)  # fmt: skip
def test_no_private_address_is_read(url: str) -> None:
    with pytest.raises(RequestError):
        Reader().read(url)


def test_a_page_does_not_lead_to_a_private_address(web: Web) -> None:
    port = int(web.host.rpartition(":")[2])
    web.redirects["/other"] = f"http://localhost:{port}/secret"
    web.redirects["/usual"] = "http://localhost/secret"
    web.pages["/secret"] = article("Nobody should read this text, which is private.")
    for path, told in (("/other", "only 80 and 443"), ("/usual", "not at a public address")):
        with pytest.raises(RequestError, match=told):
            Reader(hosts=(web.host,)).read(f"{web.url}{path}")
    assert web.asked == ["/other", "/usual"]


def test_the_owner_says_whose_pages_are_read(web: Web) -> None:
    web.pages["/a"] = article("This is a page that the owner may let be read, or not.")
    url = f"{web.url}/a"
    assert "may let be read" in Reader(hosts=(web.host,), only=("127.0.0.1",)).read(url).text
    for reader in (
        Reader(hosts=(web.host,), only=("example.org",)),
        Reader(hosts=(web.host,), block=("127.0.0.1",)),
    ):
        with pytest.raises(RequestError, match="the owner does not let"):
            reader.read(url)
    reader = Reader(only=("example.org",), block=("bad.example.org",))
    asked = ["example.org", "www.example.org", "bad.example.org", "notexample.org", "EXAMPLE.org."]
    assert [reader.allows(f"https://{host}/") for host in asked] == [True, True, False, False, True]
    web.redirects["/on"] = "/a"
    named: tuple[dict[str, Any], ...] = ({"only": ("127.0.0.1",)}, {"block": ("example.org",)})
    for names in named:
        with pytest.raises(RequestError, match="redirects more than 0 times"):
            Reader(hosts=(web.host,), **names).read(f"{web.url}/on")


def test_a_page_that_is_too_large_is_refused(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tramontane_plugin_agent.search.pages.MOST_BYTES", 1000)
    web.pages["/a"] = article("word " * 1000)
    with pytest.raises(RequestError, match="too large"):
        Reader(hosts=(web.host,)).read(f"{web.url}/a")


def test_plain_text_and_pages_without_any(web: Web) -> None:
    web.pages["/plain"], web.pages["/none"] = "just text", "<html><body></body></html>"
    reader = Reader(hosts=(web.host,))
    assert reader.read(f"{web.url}/plain").text == "just text"
    with pytest.raises(RequestError, match="no text"):
        reader.read(f"{web.url}/none")


def test_a_search_is_answered_by_the_best_passages(web: Web, tmp_path: Path) -> None:
    for index in range(8):
        web.pages[f"/{index}"] = article(f"This page is about cats and number {index}. " * 30)
    web.pages["/best"] = article("Cats purr when they are content; the purring of cats is low.")
    web.pages["/gone"] = "cats"
    given = {"url": web.url, "hosts": web.host, "results": 10}
    said = ran(tmp_path, "search_web", given, query="why do cats purr")
    assert said.citations[0].url == f"{web.url}/best"
    assert said.text.startswith(toolset.DATA)
    assert f"[1] T\n{web.url}/best\nCats purr" in said.text
    assert len(said.text) < 10_000
    nothing = ran(tmp_path, "search_web", given, query="zebra")
    assert nothing.text == "nothing was found for 'zebra'"


def test_a_page_that_cannot_be_read_is_told_as_the_engine_shows_it(
    web: Web, tmp_path: Path
) -> None:
    web.pages["/cats"] = article("Cats are here, and the page is not at a public address.")
    said = ran(tmp_path, "search_web", {"url": web.url}, query="cats")  # hosts: none
    assert "<html><title>T</title>" in said.text  # the snippet that the engine has
    assert [path for path in web.asked if not path.startswith("/search")] == []


def test_a_long_page_is_told_in_parts(web: Web, tmp_path: Path) -> None:
    middle = "The answer to the riddle is a seven-legged horse."
    filler = "".join(f"<p>Some other words that fill number {n} of lines.</p>" for n in range(900))
    web.pages["/long"] = f"<html><body><article>{filler}<p>{middle}</p>{filler}</article></html>"
    given = {"url": web.url, "hosts": web.host}
    url = f"{web.url}/long"
    begun = ran(tmp_path, "read_page", given, url=url).text
    assert middle not in begun
    assert "(the first 12000 of" in begun
    assert middle in ran(tmp_path, "read_page", given, url=url, query="riddle horse").text


def test_engines_are_chosen_by_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(engines.KEY, raising=False)
    assert engine_of(DEFAULTS) is engines.ddgs
    assert engine_of({**DEFAULTS, "url": "https://a"}).func is engines.searxng  # type: ignore[attr-defined]
    (tmp_path / "key").write_text("secret\n")
    found: Any = engine_of({**DEFAULTS, "key_file": str(tmp_path / "key")})
    assert (found.func, found.args) == (engines.brave, ("secret",))
    for wrong, told in (
        ({"engine": "bing"}, "should be one of auto"),
        ({"engine": "brave"}, "needs a key"),
        ({"engine": "searxng"}, "address of a SearxNG"),
        ({"url": "example.org"}, "address of a SearxNG"),
        ({"key_file": "/no/such"}, "cannot read"),
    ):
        with pytest.raises(UsageError, match=told):
            engine_of({**DEFAULTS, **wrong})


def test_braves_key_is_sent_to_brave_alone(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def fetched(self: Any, url: str, kind: str, headers: Any = None) -> bytes:
        sent.append((url, dict(headers)))
        return b'{"web": {"results": [{"url": "https://a/", "title": "A", "description": "B"}]}}'

    monkeypatch.setattr("tramontane.media.fetch.Fetching.__call__", fetched)
    assert engines.brave("secret", "x y", 3) == [engines.Found("https://a/", "A", "B")]
    assert sent == [(f"{engines.BRAVE}?q=x+y&count=3", {"X-Subscription-Token": "secret"})]


def test_ddgs_is_asked_as_its_package_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, **_: Any) -> None: ...

        def text(self, query: str, max_results: int) -> list[dict[str, str]]:
            assert (query, max_results) == ("x", 2)
            return [{"title": "A", "href": "https://a/", "body": "B"}, {"href": "ftp://a"}]

    monkeypatch.setattr("ddgs.DDGS", Fake)
    assert engines.ddgs("x", 2) == [engines.Found("https://a/", "A", "B")]


@pytest.mark.parametrize("text", ["[]", '{"results": 3}', '{"results": [1, {}]}'])
def test_nonsense_of_a_search_server_is_no_result(web: Web, text: str) -> None:
    web.pages["/x/search"] = text
    assert engines.searxng(f"{web.url}/x", "a", 3) == []


def test_a_search_server_that_sends_pages_is_an_error(web: Web) -> None:
    web.pages["/x/search"] = "<html>"
    with pytest.raises(TramontaneError, match="sends no JSON"):
        engines.searxng(f"{web.url}/x", "a", 3)


def test_a_search_server_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(TramontaneError, match="the search server failed"):
        ran(tmp_path, "search_web", {"url": "http://127.0.0.1:9"}, query="x")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(toolset, "find_spec", lambda name: None)
    with pytest.raises(TramontaneError, match=r"pip install 'tramontane-plugin-agent\[search\]'"):
        ran(tmp_path, "read_page", {}, url="https://a/")


def test_passages_hold_all_text_and_are_short() -> None:
    pages = [Page("a", "", "word " * 5000), Page("b", "", "line\n" * 900), Page("c", "", "x")]
    found = passages_of(pages)
    assert {one.page for one in found} == {0, 1, 2}
    assert max(len(one.text) for one in found) <= LONGEST
    assert "".join(one.text for one in found if one.page == 0) == pages[0].text


def test_an_embedding_model_ranks_by_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    class Fake:
        def embed(self, texts: list[str]) -> Any:
            return np.array([[len(text) % 7, 1.0] for text in texts], np.float32)

    monkeypatch.setattr("tramontane_plugin_agent.search.ranking._embedder", lambda name: Fake())
    passages = passages_of([Page("a", "", "x" * n) for n in (1, 6, 3)])
    best = ranked("123456", passages, 2, "some-model")
    assert [len(one.text) for one in best] == [6, 3]
