"""The chat as somebody at a terminal sees it."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path


class Terminal:
    """A chat in a real terminal."""

    def __init__(self, *arguments: str | Path, home: Path) -> None:
        self._unread = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ["TRAMONTANE_CACHE"] = str(home)
            os.environ["TERM"] = "dumb"
            command = [sys.executable, "-m", "tramontane", "run", *map(str, arguments)]
            os.execv(sys.executable, command)

    def until(self, text: str, seconds: float = 120) -> str:
        """What is printed up to and with `text`."""
        end = time.monotonic() + seconds
        while text not in self._unread:
            ready, _, _ = select.select([self.file], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"waited for {text!r}, saw {self._unread!r}"
            self._unread += os.read(self.file, 4096).decode(errors="replace")
        seen, found, self._unread = self._unread.partition(text)
        return seen + found

    def say(self, text: str) -> None:
        os.write(self.file, f"{text}\n".encode())

    def leave(self, how: bytes, seconds: float = 60) -> int:
        """Type `how` at the prompt; the exit status."""
        # before the prompt the terminal would take Ctrl-D for itself
        self.until("> ")
        os.write(self.file, how)
        end = time.monotonic() + seconds
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                os.close(self.file)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("the chat does not end")
            # what is printed must be read, or the other side waits
            if select.select([self.file], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    os.read(self.file, 4096)


def test_chat_in_a_terminal(model: Path, tmp_path: Path) -> None:
    chat = Terminal("-m", model, "-n", "5", "--ignore-eos", home=tmp_path)
    chat.until("> ")
    chat.say("hello")
    assert "t/s" in chat.until("]")
    chat.until("> ")
    chat.say("/temperature 0")
    chat.say("/temperature")
    chat.until("/temperature is 0.0")
    chat.say("/nosuch")
    chat.until("there is no command /nosuch")
    chat.say(f"/save {tmp_path / 'kept'}")
    chat.until("(saved")
    chat.say("/clear")
    chat.until("(a new conversation)")
    chat.say(f"/load {tmp_path / 'kept'}")
    chat.until("(loaded: 2 messages)")
    chat.say("/topp 7")
    chat.until("/top-p 7.0: at most 1")
    assert chat.leave(b"\x04") == 0
    assert "/nosuch" in (tmp_path / "history").read_text()


def test_pasted_lines_are_one_message(model: Path, tmp_path: Path) -> None:
    chat = Terminal(model, "-n", "2", "--ignore-eos", home=tmp_path)
    assert f"{model}: ready in " in chat.until("> ")
    chat.say("one\ntwo\nthree")
    chat.until("]")
    chat.until("> ")
    chat.say("/undo")
    chat.until("(forgotten: one two three)")
    assert chat.leave(b"\x04") == 0


def test_a_full_context_is_not_the_end(model: Path, tmp_path: Path) -> None:
    chat = Terminal("-m", model, "-n", "20", "--ignore-eos", "--num-ctx", "150", home=tmp_path)
    seen = ""
    for _ in range(6):
        chat.until("> ")
        chat.say("a message of some length")
        seen += chat.until("]")
    assert "error" not in seen
    assert " of 150" in seen
    assert "messages dropped to fit the context" in seen
    chat.until("> ")
    chat.say("x" * 200)
    assert "and the context 150: shorten it; or raise --num-ctx" in chat.until("\n", 10) + (
        chat.until("Python)")
    )
    assert chat.leave(b"\x04") == 0


def test_interrupt_stops_the_answer_and_not_the_chat(model: Path, tmp_path: Path) -> None:
    chat = Terminal("-m", model, "--ignore-eos", "--num-ctx", "4000", home=tmp_path)
    chat.until("> ")
    chat.say("go on for ever")
    chat.until("\n")
    time.sleep(0.5)
    os.write(chat.file, b"\x03")
    chat.until("stopped")
    assert chat.leave(b"/exit\n") == 0
