"""Files from the web: what may be reached, and the limits. A local server only."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from tramontane.chat.media_parts import attached_file, take_media
from tramontane.errors import EngineBusy, RequestError
from tramontane.media import addresses
from tramontane.media.addresses import is_public, target_of
from tramontane.media.fetch import Fetch

PIXELS = b"pixels" * 100


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    seen: ClassVar[list[tuple[str, str]]] = []
    elsewhere = ""

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Host"]))
        match self.path.split("/")[1:]:
            case ["to", *rest]:
                self.answer(302, Location="/" + "/".join(rest))
            case ["out"]:
                self.answer(302, Location=self.elsewhere)
            case ["type", type_]:
                self.answer(200, PIXELS, **{"Content-Type": type_.replace("-", "/", 1)})
            case ["packed"]:
                self.answer(200, PIXELS, **{"Content-Encoding": "gzip"})
            case ["short"]:
                self.answer(200, b"x", **{"Content-Length": "9"})
            case ["endless"]:
                self.answer(200)
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(bytes(4096))
            case ["slow"]:
                self.answer(200, **{"Content-Type": "image/png"})
                self.server.stop.wait(20)  # type: ignore[attr-defined]
            case ["status", status]:
                self.answer(int(status))
            case _:
                self.answer(200, PIXELS, **{"Content-Type": "image/png"})

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.stop = threading.Event()  # type: ignore[attr-defined]
    server.daemon_threads = True
    Handler.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stop.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def local(**more: Any) -> Any:
    return Fetch(hosts=("127.0.0.1",), public=False, **more).begin()


@pytest.mark.parametrize("path", ["/a.png?b=c", "/to/a", "/to/to/to/a", "/type/image-webp",
                                  "/type/application-octet-stream"])  # fmt: skip
def test_fetched(web: str, path: str) -> None:
    fetching = local()
    assert fetching(web + path, "image") == fetching(web + path, "image") == PIXELS
    seen = [each for each, _ in Handler.seen]
    assert seen[0] == path
    assert len(seen) == 1 + path.count("to/")  # once, however often it is asked for


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/to/to/to/to/a", "redirects more than 3 times"),
        ("/type/text-html", "sends 'text/html', not image"),
        ("/type/audio-wav", "sends 'audio/wav', not image"),
        ("/packed", "compressed"),
        ("/short", "cannot be read from: IncompleteRead"),
        ("/status/404", "answers with status 404"),
        ("/status/302", "answers with status 302"),
        ("/endless", "at most 5,000 bytes together"),
    ],
)
def test_refused(web: str, path: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        local(most=5000)(web + path, "image")


@pytest.mark.parametrize(
    ("elsewhere", "said"),
    [
        ("http://localhost:9/a", "localhost is none of the hosts"),
        ("//10.0.0.1/a", r"10\.0\.0\.1 is none of the hosts"),
        ("file:///etc/hostname", "is no URL"),
    ],
)
def test_each_target_is_checked_again(web: str, elsewhere: str, said: str) -> None:
    Handler.elsewhere = elsewhere
    with pytest.raises(RequestError, match=said):
        local()(f"{web}/out", "image")


def test_all_files_of_a_conversation_share_a_limit(web: str) -> None:
    fetching = local(most=1000)
    assert fetching(f"{web}/a", "image") == PIXELS
    with pytest.raises(RequestError, match="too large"):
        fetching(f"{web}/b", "image")


def test_seconds_are_for_all_of_it(web: str) -> None:
    with pytest.raises(RequestError, match=r"did not send it within 0\.3 seconds"):
        local(seconds=0.3)(f"{web}/slow", "image")


def test_slots(web: str) -> None:
    limits = Fetch(hosts=("127.0.0.1",), slots=1)
    with limits._free, pytest.raises(EngineBusy, match="1 addresses are being fetched already"):
        limits.begin()(f"{web}/a", "image")
    assert limits.begin()(f"{web}/a", "image") == PIXELS


def test_nothing_but_the_hosts_that_are_named(web: str) -> None:
    port = int(web.rpartition(":")[2])
    for limits in (Fetch(), Fetch(hosts=("localhost",)), Fetch(hosts=(f"127.0.0.1:{port + 1}",))):
        with pytest.raises(RequestError, match="is not fetched from: only 80 and 443"):
            limits.begin()(f"{web}/a", "image")
    assert Fetch(hosts=(f"127.0.0.1:{port}",)).begin()(f"{web}/a", "image") == PIXELS
    assert Fetch(anywhere=True).begin()(f"{web}/a", "image") == PIXELS
    with pytest.raises(RequestError, match=r"127\.0\.0\.1 is not at a public address"):
        Fetch().begin()("http://127.0.0.1/a", "image")


def test_a_host_is_looked_up_once(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is what is connected to, though the next answer would be another."""
    port = int(web.rpartition(":")[2])
    asked = []

    def look(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", look)
    limits = Fetch(hosts=("pictures.example",), public=False)
    assert limits.begin()(f"http://pictures.example:{port}/a", "image") == PIXELS
    assert asked == ["pictures.example"]
    assert Handler.seen == [("/a", f"pictures.example:{port}")]
    with pytest.raises(RequestError, match="not at a public address"):
        Fetch().begin()("http://pictures.example/a", "image")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("64:ff9b::808:808", True),
        ("10.0.0.1", False), ("172.16.0.1", False), ("192.168.1.1", False), ("127.0.0.2", False),
        ("169.254.169.254", False), ("0.0.0.0", False), ("224.0.0.1", False), ("240.0.0.1", False),
        ("255.255.255.255", False), ("100.64.0.1", False), ("192.0.2.1", False),
        ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False),
        ("ff02::1", False), ("2001:db8::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True), ("::127.0.0.1", False), ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b:1::1", False), ("2001:0:1::1", False),
    ],
)  # fmt: skip
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) == public


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://a.example/b", "is no URL"),
        ("http:///b", "is no URL"),
        ("http://a.example:x/b", "is no URL"),
        ("http://a.example/b c", "is no URL"),
        ("http://a.example/b\r\nX: y", "is no URL"),
        ("http://me:secret@a.example/b", "has a user's name"),
        ("http://[::1]/b", "not at a public address"),
        ("http://2130706433/b", "not at a public address"),
        ("http://0x7f.1/b", "not at a public address"),
        ("https://127.0.0.1:8443/b", "only 80 and 443"),
    ],
)
def test_urls_that_are_none(url: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        target_of(url)


@pytest.mark.parametrize(
    ("told", "found"),
    [(None, None), (False, None), ((), None), (True, Fetch()),
     ("a.example", Fetch(hosts=("a.example",), public=False)),
     (["a", "b"], Fetch(hosts=("a", "b"), public=False))],
)  # fmt: skip
def test_leave(told: Any, found: Fetch | None) -> None:
    assert Fetch.of(told) == found


def test_in_messages_and_by_name(web: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": f"{web}/a.png"}},
               {"type": "input_file", "file_url": f"{web}/b.png"},
               {"type": "image", "source": {"type": "url", "url": f"{web}/c.png"}}]  # fmt: skip
    messages = [{"role": "user", "content": content}]
    with pytest.raises(RequestError, match="is not fetched: load it yourself"):
        take_media(messages, local=False)
    _, items = take_media(messages, local=False, fetching=local())
    assert [item.source for item in items] == [PIXELS] * 3
    content[1] = {"type": "image_url", "image_url": {"url": f"{web}/status/500"}}
    with pytest.raises(RequestError, match=r"message 0, part 1: 127\.0\.0\.1 answers with"):
        take_media(messages, local=False, fetching=local())
    item = attached_file(f"{web}/a.png", "image")
    assert item.source == PIXELS
    assert item.part["image"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    "host",
    ["a b", "", " ", "http://a", "a/b", "a:b", "a:0", "a:", "a:70000", "u@a", "[::1", "::1", "a..b",
     "-a.b", "a?b", "*.example.org", "a\n", "x" * 64, 7, None],
)  # fmt: skip
def test_hosts_that_are_none(host: Any) -> None:
    with pytest.raises(RequestError, match="names no host: give its name or address, HOST, or"):
        Fetch(hosts=(host,))


@pytest.mark.parametrize(
    "host", ["a", "example.org", "example.org.", "my_host:8080", "10.0.0.7", "[::1]", "[::1]:80",
             "b\u00fccher.example", "localhost:1"],
)  # fmt: skip
def test_hosts(host: str) -> None:
    assert Fetch.of([host]) == Fetch(hosts=(host,), public=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"hosts": "abc"}, "hosts should be a list of hosts, not 'abc'"),
     ({"most": 0}, "most should be a whole number from 1 on, not 0"),
     ({"seconds": "x"}, "seconds should be a number above 0"), ({"public": 1}, "public should be")],
)  # fmt: skip
def test_limits_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        Fetch(**given)
