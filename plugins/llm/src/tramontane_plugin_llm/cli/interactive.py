"""What `repl` and `chat` share: lines from a terminal or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def lines() -> Iterator[str]:
    r"""What a user enters, each perhaps of several lines: a \ at the end of one continues it. Ends
    with Ctrl-D, Ctrl-C or the input."""
    from tramontane.cli.reader import more_waits, prepare_terminal, read_message

    terminal = sys.stdin.isatty()
    store = prepare_terminal() if terminal else lambda: None

    def read(prompt: str) -> str:
        if terminal:
            return input(">> " if prompt == "> " else prompt)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    try:
        while True:
            try:
                yield read_message(read, waiting=more_waits if terminal else lambda: False)
            except (EOFError, KeyboardInterrupt):
                return
    finally:
        store()


def show(text: str) -> None:
    """Print a part of an answer."""
    print(text, end="", flush=True)
