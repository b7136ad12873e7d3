"""SIGHUP: an operator's wish that files are read again, or the news that the terminal is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Protocol

TERMINAL = "/dev/tty"
"""The one that controls the process, whatever its streams are."""


class Hangup(Protocol):
    """What to do. gone: whether the process has lost the terminal that it was started in."""

    def __call__(self, *, gone: bool) -> None: ...


def ignore_hangup() -> None:
    """Until `on_hangup`: it would end the process."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def on_hangup(act: Hangup) -> None:
    """From now on SIGHUP calls `act` in the running loop and ends nothing by itself."""
    number = getattr(signal, "SIGHUP", None)  # which Windows has not
    if number is None:
        return
    had = _has_terminal()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, lambda: act(gone=had and not _has_terminal()))


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
