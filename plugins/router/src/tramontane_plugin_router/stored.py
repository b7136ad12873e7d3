"""Which replica has what was stored: responses by their ids, and sessions of tools."""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import sha256

from .replica import Replica

MOST = 100_000
IDENTITY = re.compile(rb'"id": ?"(resp_[0-9A-Za-z_-]{1,64})"')
RESPONSES = "/v1/responses/"
FILES = "/v1/images/files/"
OF_SESSIONS = ("/v1/agent/approvals/", "/v1/agent/files")
"""What only the replica knows that has the session."""


class Stored:
    """The last `most` ids. What is not among them is asked for at every replica."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._where: OrderedDict[str, Replica] = OrderedDict()

    def learn(self, data: bytes, replica: Replica) -> None:
        """Look for the id of a response in the beginning of an answer."""
        if found := IDENTITY.search(data):
            self.put(found[1].decode(), replica)

    def put(self, identity: str, replica: Replica) -> None:
        """A replica has it."""
        self._where[identity] = replica
        self._where.move_to_end(identity)
        if len(self._where) > self._most:
            self._where.popitem(last=False)

    def find(self, identity: str) -> Replica | None:
        """The replica that has it, whatever its state; None: not known."""
        return self._where.get(identity)


def stored_name(path: str) -> str | None:
    """The id of the response that a path is about."""
    if not path.startswith(RESPONSES):
        return None
    return path.removeprefix(RESPONSES).partition("/")[0] or None


def session_name(session: object, owner: bytes) -> str | None:
    """By which `Stored` has a session of an owner; None: it is not one."""
    if not isinstance(session, str) or not session:
        return None
    given = owner + b"\0" + session.encode("utf-8", "surrogatepass")
    return f"session {sha256(given).hexdigest()[:32]}"
