"""A program's output in bounded memory: its beginning and its end."""

from __future__ import annotations


class Kept:
    """limit: the bytes that are kept. size: the bytes that there were."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._most_head, self._most_tail = limit - limit // 2, limit // 2
        self._head, self._tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        """The next of the output."""
        self.size += len(data)
        room = self._most_head - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._most_tail:
            del self._tail[: -self._most_tail]

    def text(self) -> str:
        """What is kept, as text; what is left out is said."""
        tail = bytes(self._tail[-self._most_tail :])
        left_out = self.size - len(self._head) - len(tail)
        said = f"\n[... {left_out} bytes left out ...]\n".encode() if left_out else b""
        return (bytes(self._head) + said + tail).decode("utf-8", "replace")
