"""Sessions in one file: they survive, and nothing that is wrong harms them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane.agent.session_store import SessionStore
from tramontane.errors import RequestError

HI = [{"role": "user", "content": "hi  there"}, {"role": "assistant", "content": "hello"}]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    found = SessionStore(tmp_path / "below" / "sessions.sqlite")
    yield found
    found.close()


def test_a_session_is_there_after_a_restart(store: SessionStore) -> None:
    store.save("tax", HI)
    store.save("tax", [*HI, {"role": "user", "content": "more"}])
    store.save("other", HI[:1], "a title")
    again = SessionStore(store.path)
    assert again.messages("tax") == [*HI, {"role": "user", "content": "more"}]
    listed = {one.name: (one.title, one.messages) for one in again.sessions()}
    assert listed == {"tax": ("hi there", 3), "other": ("a title", 1)}
    assert store.path.stat().st_mode & 0o077 == 0
    again.close()


def test_messages_that_were_changed_or_undone_are_written_again(store: SessionStore) -> None:
    store.save("a", HI)
    store.save("a", [HI[0], {"role": "assistant", "content": "another"}])
    assert store.messages("a")[1]["content"] == "another"
    store.save("a", HI[:1])
    assert store.messages("a") == HI[:1]


def test_forks_exports_and_imports_are_copies(store: SessionStore) -> None:
    store.save("a", HI)
    store.fork("a", "b", 1)
    assert store.messages("b") == HI[:1]
    data = store.exported("a")
    assert store.imported(data, "c") == "c"
    store.remove("a")
    assert (store.messages("c"), store.has("a")) == (HI, False)
    assert store.imported(data) == "a"
    for act in (lambda: store.fork("a", "b"), lambda: store.imported(data)):
        with pytest.raises(RequestError, match="already"):
            act()


@pytest.mark.parametrize(
    "data",
    [
        None, [], {}, {"form": "x"}, {"form": "tramontane-session", "version": 2},
        {"form": "tramontane-session", "version": 1, "name": "a", "messages": [1]},
        {"form": "tramontane-session", "version": 1, "name": 3, "messages": []},
        {"form": "tramontane-session", "version": 1, "name": "../a", "messages": []},
        {"form": "tramontane-session", "version": 1, "name": "a", "messages": [{"role": 1}]},
    ],
)  # fmt: skip
def test_what_is_no_session_is_not_imported(store: SessionStore, data: Any) -> None:
    with pytest.raises(RequestError):
        store.imported(data)
    assert store.sessions() == []


def test_names_that_are_not_there_or_cannot_be(store: SessionStore) -> None:
    for act in (store.messages, store.remove, store.exported):
        with pytest.raises(RequestError, match="there is no session 'x'"):
            act("x")
    for name in ("", " a", "a/b", "a\\b", "a\nb", "x" * 129):
        with pytest.raises(RequestError, match="no slash"):
            store.save(name, HI)
    with pytest.raises(RequestError, match="message 0 cannot be kept"):
        store.save("a", [{"role": "user", "content": {1}}])
    assert not store.has("a")


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other"
    text.write_text("no database, " * 100)
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE a (b)")
    database.close()
    for path in (text, other, tmp_path):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(RequestError):
            SessionStore(path)
        assert (path.read_bytes() if path.is_file() else b"") == before


def test_several_may_write_at_once(store: SessionStore) -> None:
    def write(index: int) -> None:
        own = SessionStore(store.path)
        for count in range(10):
            own.save(f"s{index}", HI[:1] * (count + 1))
        own.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {one.name: one.messages for one in store.sessions()} == {f"s{n}": 10 for n in range(4)}
