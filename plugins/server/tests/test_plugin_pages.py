"""Pages of plugins in a server: files without a key, applications with one, and what cannot be."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tramontane.errors import PluginConflict
from tramontane_plugin_server import health
from tramontane_plugin_server.app import build
from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.plugin_pages import add
from tramontane_plugin_server.settings import read

PAGE = 'Page(name="{name}", summary="Shows.", path="{path}", {what})'
PLUGIN = """
from tramontane.plugin import Page, hookimpl

@hookimpl
def pages():
    yield {page}

def app():
    async def answer(scope, receive, send):
        head = [(b"content-type", b"text/plain")]
        await send({{"type": "http.response.start", "status": 200, "headers": head}})
        await send({{"type": "http.response.body", "body": scope["path"].encode()}})
    return answer
"""


class Plugins:
    """Distributions that a test installs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, path: str, what: str = "", **files: str) -> None:
        """One with a page. what: its fields; files: of the page, with __ for the dot."""
        package = self.folder / f"acme_{name}"
        (package / "page" / "deep").mkdir(parents=True)
        what = what.replace("HERE", f"acme_{name}") or f'files="acme_{name}:page"'
        page = PAGE.format(name=name, path=path, what=what)
        (package / "__init__.py").write_text(PLUGIN.format(page=page))
        for file, text in {"index__html": f"<h1>{name}</h1>", **files}.items():
            (package / "page" / file.replace("__", ".")).write_text(text)
        (package / "page" / "deep" / "a.js").write_text("let a = 1;\n" * 200)
        about = self.folder / f"acme_{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[tramontane.pages]\n{name} = acme_{name}\n")

    def client(self, **settings: Any) -> TestClient:
        return TestClient(build(Serving(read(None, {"access_log": "off", **settings}))))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    monkeypatch.syspath_prepend(tmp_path)
    names = ("root", "sub", "app", "other", "wrong")
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join(f"acme-{name}" for name in names))
    yield Plugins(tmp_path)
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


def test_files_are_served_where_the_page_says(plugins: Plugins) -> None:
    plugins.add("root", "/")
    plugins.add("sub", "/sub/page")
    client = plugins.client()
    assert client.get("/").text == "<h1>root</h1>"
    assert client.get("/sub/page/").text == "<h1>sub</h1>"
    assert client.get("/sub/page", follow_redirects=False).headers["location"] == "page/"
    assert client.get("/sub/page").url.path == "/sub/page/"
    found = client.get("/deep/a.js")
    assert found.headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.head("/deep/a.js").status_code == 200
    assert client.post("/deep/a.js").status_code == 405
    assert client.get("/deep/b.js").json()["error"]["message"].startswith("there is nothing")
    assert client.get("/deep/../__init__.py").status_code == 404
    assert client.get("/docs").status_code == 200


def test_files_may_load_nothing_from_elsewhere(plugins: Plugins) -> None:
    plugins.add("root", "/")
    headers = plugins.client().get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"


def test_what_a_browser_has_is_not_sent_again(plugins: Plugins) -> None:
    plugins.add("root", "/")
    client = plugins.client()
    first = client.get("/deep/a.js", headers={"accept-encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    assert int(first.headers["content-length"]) < 200
    plain = client.get("/deep/a.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == first.text
    tag = first.headers["etag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}'):
        again = client.get("/deep/a.js", headers={"if-none-match": given})
        assert (again.status_code, again.content) == (304, b"")


def test_files_need_no_key_and_applications_do(plugins: Plugins) -> None:
    plugins.add("root", "/")
    plugins.add("app", "/app", 'app="HERE:app"')
    client = plugins.client(api_key=["sk"])
    assert client.get("/").status_code == client.get("/deep/a.js").status_code == 200
    assert client.get("/app/x").status_code == client.get("/v1/models").status_code == 401
    assert client.get("/app/x", headers={"authorization": "Bearer sk"}).text == "/app/x"


def test_two_pages_at_one_path_are_an_error(plugins: Plugins) -> None:
    plugins.add("root", "/")
    plugins.add("other", "/")
    with pytest.raises(PluginConflict, match="'other' and 'root' both want the path /;"):
        plugins.client()
    assert plugins.client(pages=False).get("/").url.path == "/docs"


@pytest.mark.parametrize(
    ("path", "what", "files", "said"),
    [
        ("/v1/x", "", {}, "/v1/x is the server's own"),
        ("/docs", "", {}, "/docs is the server's own"),
        ("/", "", {"health": "x"}, "/health is the server's own"),
        ("/X", "", {}, "segments of small"),
        ("/a//b", "", {}, "segments of small"),
        ("/", 'app="HERE:app"', {}, "an app needs a path of its own"),
        ("/x", 'files="HERE:nowhere"', {}, "has no folder nowhere"),
        ("/x", 'files="HERE:"', {}, "there is no index.html"),
        ("/x", 'files="HERE"', {}, "must be 'package:folder'"),
        ("/x", 'app="HERE:nothing"', {}, "no attribute 'nothing'"),
        ("/x", "", {}, ""),
    ],
)
def test_a_page_that_cannot_be_takes_no_server_down(
    plugins: Plugins,
    path: str,
    what: str,
    files: dict[str, str],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugins.add("wrong", path, what, **files)
    app = FastAPI()
    app.state.serving = Serving(read(None, {}))
    app.include_router(health.router)
    with caplog.at_level(logging.WARNING):
        add(app)
    assert TestClient(app).get("/health").json() == {"status": "ok"}
    assert ("'wrong' is left out" in caplog.text) is bool(said)
    assert said in caplog.text
