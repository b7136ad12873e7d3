"""`tramontane web`: the address of the page, and who opens it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import webbrowser

import pytest
from tramontane_plugin_web import command


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234/"),
        ("http://0.0.0.0:80", "http://127.0.0.1:80/"),
        ("https://[::]:8443", "https://[::1]:8443/"),
        ("https://[::1]:8443", "https://[::1]:8443/"),
    ],
)
def test_a_page_has_an_address_that_a_browser_reaches(address: str, page: str) -> None:
    assert command.page_at(address) == page


def test_a_browser_is_opened_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[tuple[str, bool]] = []
    done = threading.Event()

    def note(url: str) -> None:
        opened.append((url, threading.current_thread() is threading.main_thread()))
        done.set()

    monkeypatch.setattr(webbrowser, "open", note)
    command.show("http://127.0.0.1:9")
    assert done.wait(10)
    assert opened == [("http://127.0.0.1:9/", False)]
    command.show("unix:/run/x")
    assert len(opened) == 1
    assert capsys.readouterr().err.splitlines()[0] == "chat page: http://127.0.0.1:9/"


@pytest.mark.skipif(os.environ.get("TRAMONTANE_FULL") != "1", reason="TRAMONTANE_FULL is not 1")
def test_it_serves_and_says_where() -> None:
    line = [sys.executable, "-m", "tramontane", "web", "--no-open", "--port", "0"]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for said in process.stderr:
        if said.startswith("chat page: http://127.0.0.1:"):
            break
    process.send_signal(signal.SIGTERM)
    process.stderr.close()
    assert process.wait(60) == 0
