"""Which replica has what was stored: responses, by their ids."""

from __future__ import annotations

import re
from collections import OrderedDict

from .replica import Replica

MOST = 100_000
IDENTITY = re.compile(rb'"id": ?"(resp_[0-9A-Za-z_-]{1,64})"')
RESPONSES = "/v1/responses/"
FILES = "/v1/images/files/"


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
