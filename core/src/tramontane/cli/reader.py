"""Messages typed or pasted in a terminal, and the history of earlier lines."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable

from tramontane.system import paths

REMEMBERED = 1000
"""Lines of history that are stored."""
TOGETHER = 0.05
"""Seconds within which a further line belongs to the same paste."""


def read_message(
    read: Callable[[str], str],
    is_command: Callable[[str], bool] = lambda line: False,
    waiting: Callable[[], bool] = lambda: False,
) -> str:
    """A message of one line or several; lines that arrive together are one. A command is one line.

    waiting: whether more input is there already. Raises EOFError when there is no more.
    """
    lines = [read("> ")]
    if is_command(lines[0]):
        return lines[0]
    try:
        if lines[0].strip() == '"""':
            lines.clear()
            while (line := read(". ")).strip() != '"""':
                lines.append(line)
            return "\n".join(lines)
        while True:
            if lines[-1].endswith("\\"):
                lines[-1] = lines[-1][:-1]
            elif not waiting():
                break
            lines.append(read(". "))
    except EOFError:
        if not any(lines):
            raise
    return "\n".join(lines)


def more_waits() -> bool:
    """Whether a terminal has input that nobody typed just now: the next line of a paste."""
    try:
        return bool(select.select([sys.stdin], [], [], TOGETHER)[0])
    except (OSError, ValueError):  # no terminal, or a system that cannot look
        return False


def prepare_terminal() -> Callable[[], None]:
    """Line editing, with a paste of several lines as one input, and earlier lines at the arrow
    keys; returns what stores them. Works without, too."""
    try:
        import readline
    except ImportError:  # not on this system
        return lambda: None
    if "libedit" not in (readline.__doc__ or ""):
        readline.parse_and_bind("set enable-bracketed-paste on")  # Python switches it off
    path = paths.cache() / "history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            readline.read_history_file(path)
    except OSError:
        return lambda: None
    readline.set_history_length(REMEMBERED)

    def store() -> None:
        try:
            readline.write_history_file(path)
        except OSError as error:
            print(f"(cannot write the history to {path}: {error.strerror})", file=sys.stderr)

    return store
