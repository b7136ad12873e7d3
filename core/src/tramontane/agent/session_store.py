"""Sessions that survive a restart: conversations in one SQLite file."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tramontane.errors import RequestError
from tramontane.system import paths

VERSION = 1
FORM = "tramontane-session"
NAME = re.compile(r"[^\s/\\\x00-\x1f][^/\\\x00-\x1f]{0,127}")
MOST_MESSAGES = 100_000
TABLES = """
CREATE TABLE sessions (
    name TEXT PRIMARY KEY, title TEXT NOT NULL, created REAL NOT NULL, changed REAL NOT NULL
);
CREATE TABLE messages (
    session TEXT NOT NULL REFERENCES sessions(name) ON DELETE CASCADE ON UPDATE CASCADE,
    place INTEGER NOT NULL, message TEXT NOT NULL, PRIMARY KEY (session, place)
);
"""


@dataclass(frozen=True)
class Saved:
    """A session without its messages. created, changed: seconds since 1970."""

    name: str
    title: str
    created: float
    changed: float
    messages: int


class SessionStore:
    """A file of sessions, which several processes may use at once. path: None: the user's own.

    Every method raises RequestError for a name that is not there or cannot be, and for a file that
    is no such store.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or paths.cache() / "sessions.sqlite"
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise RequestError(f"cannot open sessions in {self.path}: {error}") from error
        with self._changing() as database:
            database.execute("PRAGMA foreign_keys = ON")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._create(database)
            elif version != VERSION:
                raise RequestError(
                    f"{self.path} is of another version of Tramontane ({version}, not {VERSION})"
                )
        self.path.chmod(0o600)

    def _create(self, database: sqlite3.Connection) -> None:
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise RequestError(f"{self.path} is a database of something else")
        database.executescript(f"{TABLES} PRAGMA user_version = {VERSION};")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def sessions(self) -> list[Saved]:
        """All sessions, the last changed first."""
        with self._changing() as database:
            rows = database.execute(
                "SELECT name, title, created, changed, (SELECT count(*) FROM messages "
                "WHERE session = name) FROM sessions ORDER BY changed DESC, name"
            ).fetchall()
        return [Saved(*row) for row in rows]

    def messages(self, name: str) -> list[dict[str, Any]]:
        """The messages of a session."""
        with self._changing() as database:
            self._there(database, name)
            rows = database.execute(
                "SELECT message FROM messages WHERE session = ? ORDER BY place", (name,)
            ).fetchall()
        return [json.loads(text) for (text,) in rows]

    def has(self, name: str) -> bool:
        """Whether there is such a session."""
        with self._changing() as database:
            return self._about(database, name) is not None

    def save(self, name: str, messages: Sequence[Mapping[str, Any]], title: str = "") -> None:
        """Write all messages of a session, new or not. title: by default the first words of the
        user's."""
        refuse_name(name)
        written = checked_messages(messages, f"session {name!r}")
        now = time.time()
        with self._changing() as database:
            database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "changed = excluded.changed, title = excluded.title",
                (name, title or title_of(messages), now, now),
            )
            # what is there already stays: a long session grows by a few rows
            rows = database.execute(
                "SELECT message FROM messages WHERE session = ? ORDER BY place", (name,)
            ).fetchall()
            same = 0
            while same < min(len(rows), len(written)) and rows[same][0] == written[same]:
                same += 1
            database.execute("DELETE FROM messages WHERE session = ? AND place >= ?", (name, same))
            database.executemany(
                "INSERT INTO messages VALUES (?, ?, ?)",
                [(name, place, text) for place, text in enumerate(written) if place >= same],
            )

    def fork(self, name: str, other: str, keep: int | None = None) -> None:
        """Copy a session under another name. keep: only so many of its messages."""
        messages = self.messages(name)
        self._free(other)
        self.save(other, messages if keep is None else messages[:keep])

    def remove(self, name: str) -> None:
        """Forget a session."""
        with self._changing() as database:
            self._there(database, name)
            database.execute("DELETE FROM sessions WHERE name = ?", (name,))

    def exported(self, name: str) -> dict[str, Any]:
        """A session as JSON data, which `imported` takes."""
        with self._changing() as database:
            title, created = self._there(database, name)
        about = {"name": name, "title": title, "created": created}
        return {"form": FORM, "version": VERSION, **about, "messages": self.messages(name)}

    def imported(self, data: object, name: str | None = None) -> str:
        """Add what `exported` returned, under its own name or another; returns the name."""
        if not isinstance(data, dict) or data.get("form") != FORM:
            raise RequestError(f"this is no exported session: it has no form {FORM!r}")
        if data.get("version") != VERSION:
            raise RequestError(f"this session is of version {data.get('version')!r:.20}, not 1")
        wanted, messages = name or data.get("name"), data.get("messages")
        if not isinstance(wanted, str) or not isinstance(messages, list):
            raise RequestError("this exported session has no name, or no list of messages")
        title = data.get("title")
        self._free(wanted)
        self.save(wanted, messages, title if isinstance(title, str) else "")
        return wanted

    def _free(self, name: str) -> None:
        if self.has(name):
            raise RequestError(f"there is a session {name!r} already; give it another name")

    def _there(self, database: sqlite3.Connection, name: str) -> tuple[str, float]:
        about = self._about(database, name)
        if about is None:
            raise RequestError(f"there is no session {name!r}; tramontane sessions list")
        return about

    def _about(self, database: sqlite3.Connection, name: str) -> tuple[str, float] | None:
        """Its title, and when it was created; None where it is not there."""
        asked = "SELECT title, created FROM sessions WHERE name = ?"
        found: tuple[str, float] | None = database.execute(asked, (name,)).fetchone()
        return found

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """All of it happens, or nothing."""
        try:
            with self._lock, self._database as database:
                yield database
        except sqlite3.Error as error:
            raise RequestError(f"cannot use the sessions in {self.path}: {error}") from error


def refuse_name(name: str) -> None:
    """Raises RequestError for what no session can be called."""
    if not NAME.fullmatch(name):
        raise RequestError(f"a session's name has up to 128 characters and no slash: {name!r:.80}")


def checked_messages(messages: Sequence[Mapping[str, Any]], where: str) -> list[str]:
    """Messages as JSON. Raises RequestError for what is none."""
    if len(messages) > MOST_MESSAGES:
        raise RequestError(f"{where} has {len(messages)} messages, more than {MOST_MESSAGES:,}")
    written = []
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise RequestError(f"{where}: message {place} is no object with a role")
        try:
            written.append(json.dumps(message, ensure_ascii=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise RequestError(f"{where}: message {place} cannot be kept: {error}") from error
    return written


def title_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The first words of the user's."""
    for message in messages:
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, str):
            words = " ".join(content.split())
            return words if len(words) <= 60 else f"{words[:57]}..."
    return ""
