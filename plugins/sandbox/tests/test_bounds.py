"""Each bound ends what goes beyond it, and says which one it was."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from tramontane.errors import UsageError
from tramontane_plugin_sandbox import Limits, Sandbox, runtime
from tramontane_plugin_sandbox.begin import Place, _around
from tramontane_plugin_sandbox.inside.policy import Policy
from tramontane_plugin_sandbox.running import Ended, Stop
from tramontane_plugin_sandbox.sandbox import Finished

from .conftest import LIMITS, MIB, sandbox_or_skip

MANY = """
import mmap, os, time
for _ in range(8):
    if os.fork() == 0:
        kept = {kept}
        time.sleep(60)
time.sleep(60)
"""
PRIVATE, SHARED = (
    "bytearray(100 << 20)",
    "(all := mmap.mmap(-1, 100 << 20)).write(bytes(100 << 20))",
)


def python(sandbox: Sandbox, code: str, **keywords: object) -> Finished:
    return sandbox.run(sandbox.python(code), **keywords)  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", [PRIVATE, SHARED], ids=["private", "shared"])
def test_memory_of_all_processes_is_counted(sandbox: Sandbox, kept: str) -> None:
    finished = python(sandbox, MANY.format(kept=f"[{kept}]"), seconds=60)
    assert finished.ended.how == "memory"


def test_processes_are_counted(sandbox: Sandbox) -> None:
    finished = python(
        sandbox,
        "import os, time\nmade = 0\n"
        "try:\n"
        "    while made < 200:\n"
        "        if os.fork() == 0: time.sleep(60)\n"
        "        made += 1\n"
        "except BlockingIOError: pass\n"
        "print(made, flush=True)\n"
        "time.sleep(60 if made > 100 else 0)",
    )
    # root's own are not counted by the kernel under bubblewrap: those are seen, and ended
    held = finished.ended.how == "processes" or int(finished.stdout) <= LIMITS.processes
    assert held, finished


def test_threads_are_processes(sandbox: Sandbox) -> None:
    finished = python(
        sandbox,
        "import threading, time\n"
        "for _ in range(200): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    )
    assert finished.ended.how == "processes" or "can't start new thread" in finished.stderr


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_files_in_memory_have_a_size(sandbox: Sandbox, folder: str) -> None:
    finished = python(
        sandbox,
        "for n in range(2):\n"
        f"    with open('{folder}/' + str(n), 'wb') as file:\n"
        f"        for _ in range(16): file.write(bytes(1 << 20))\n"
        f"import time; time.sleep(60)",
    )
    assert finished.ended.how == "disk" or "No space left" in finished.stderr


def test_files_in_the_folder_have_a_size_in_all(sandbox: Sandbox) -> None:
    finished = python(
        sandbox,
        "import time\nfor n in range(5): open(str(n), 'wb').write(bytes(20 << 20))\ntime.sleep(60)",
    )
    assert finished.ended.how == "disk"


def test_without_a_view_of_its_own_the_temporary_folder_is_counted_too() -> None:
    with sandbox_or_skip("off", replace(LIMITS, disk=2 * MIB)) as sandbox:
        finished = python(
            sandbox,
            "import os, time\n"
            "for n in range(3): open(os.environ['TMPDIR'] + f'/{n}', 'wb').write(bytes(1 << 20))\n"
            "time.sleep(60)",
        )
    assert finished.ended.how == "disk"


def test_the_root_of_bubblewrap_is_read_only_without_landlock_too(tmp_path: Path) -> None:
    """Else it is memory without a limit."""
    sandbox_or_skip("bubblewrap").close()
    place = Place(kind="bubblewrap", folder=tmp_path, private=tmp_path)
    shown = runtime.shown()
    policy = cast("Policy", {
        "network": False, "read": shown.read, "links": shown.links, "texts": {},
        "folder": runtime.FOLDER, "folder_outside": str(tmp_path),
    })  # fmt: skip
    script = "for f in / /opt /etc; do mkdir $f/mine 2> /dev/null; done; mkdir mine /tmp/mine; "
    inner = ["/bin/sh", "-c", script + "ls -d /mine /opt/mine /etc/mine mine /tmp/mine"]
    said = subprocess.run(_around(place, policy, inner), capture_output=True, text=True)
    assert said.stdout.splitlines() == ["/tmp/mine", "mine"], said.stderr


def test_a_folder_is_counted_though_it_is_closed(sandbox: Sandbox) -> None:
    finished = python(
        sandbox,
        "import os, time\n"
        "os.mkdir('closed'); place = os.open('closed', os.O_RDONLY); os.chmod('closed', 0)\n"
        "os.fchmod(place, 0o300); os.fchdir(place)\n"
        "for n in range(5): open(str(n), 'wb').write(bytes(20 << 20))\n"
        "time.sleep(60)",
    )
    assert finished.ended.how == "disk"


def test_folders_that_are_too_deep_to_count_end_a_program(sandbox: Sandbox) -> None:
    finished = python(
        sandbox,
        "import os, time\n"
        "for n in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        "open('large', 'wb').write(bytes(1 << 20))\n"
        "time.sleep(60)",
    )
    assert finished.ended.how == "disk"


def test_what_a_program_left_is_deleted(kind: str) -> None:
    with sandbox_or_skip(kind) as sandbox:
        finished = python(
            sandbox,
            "import os\n"
            "for n in range(1200): os.mkdir('d'); os.chdir('d')\n"
            "os.mkdir('shut'); open('shut/file', 'w'); os.chmod('shut', 0)\n"
            "os.chmod(os.environ['HOME'] + '/d', 0)",
        )
        assert finished.ended == Ended("exit"), finished
    assert not sandbox.folder.exists()


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import signal, time\n"
        "for n in range(1, 32):\n"
        "    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\n"
        "time.sleep(60)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import os, time\nos.close(0); os.close(1); os.close(2); time.sleep(60)",
        "import os, time\nif os.fork(): os.wait()\nelse: os.setsid(); time.sleep(60)",
    ],
    ids=["busy", "deaf", "stopped", "silent", "elsewhere"],
)
def test_time_ends_a_program(sandbox: Sandbox, code: str) -> None:
    finished = python(sandbox, code, seconds=0.4)
    assert finished.ended == Ended("time", why="0.4 seconds were over")


def test_time_of_a_processor_ends_a_program(kind: str) -> None:
    with sandbox_or_skip(kind, replace(LIMITS, cpu=1)) as sandbox:
        finished = python(sandbox, "while True: pass", seconds=20)
    assert finished.ended.how == "signal"


def test_a_flood_of_output_ends_a_program_and_little_is_kept(sandbox: Sandbox) -> None:
    finished = sandbox.run(["sh", "-c", "echo first; yes"], seconds=20)
    assert finished.ended.how == "output"
    assert finished.stdout.startswith("first\ny\n")
    assert "bytes left out" in finished.stdout
    assert len(finished.stdout) < 2 * LIMITS.output


def test_nothing_lives_on_when_a_program_has_ended(sandbox: Sandbox) -> None:
    beat = "(setsid sh -c 'while :; do date +%N > beat; sleep 0.02; done' > /dev/null 2>&1 &)"
    finished = sandbox.run(["sh", "-c", f"{beat}; while [ ! -s beat ]; do sleep 0.02; done"])
    assert finished.ended == Ended("exit")
    seen = (sandbox.folder / "beat").read_text()
    time.sleep(0.2)
    assert (sandbox.folder / "beat").read_text() == seen


def test_killing_all_reaches_the_sandbox_only(sandbox: Sandbox) -> None:
    finished = sandbox.run(["sh", "-c", "sleep 9 & kill -9 -1; wait; echo alone"])
    assert finished.stdout == "alone\n"


def test_a_program_is_stopped_by_another_thread(sandbox: Sandbox) -> None:
    stop = Stop()
    threading.Timer(0.2, stop.now).start()
    finished = sandbox.run(["sleep", "60"], seconds=50, stop=stop)
    assert finished.ended == Ended("stopped")


def test_a_program_that_dies_with_its_host(kind: str, tmp_path: Path) -> None:
    """The sandbox is another process's, which is killed."""
    sandbox_or_skip(kind).close()
    code = (
        "from pathlib import Path; from tramontane_plugin_sandbox import Sandbox\n"
        f"s = Sandbox(Path({str(tmp_path)!r}), kind={kind!r})\n"
        "s.run(['sh', '-c', 'while :; do date +%N > beat; sleep 0.02; done'])"
    )
    host = subprocess.Popen([sys.executable, "-c", code])
    beat = tmp_path / "beat"
    while not beat.exists() or not beat.read_text():
        time.sleep(0.02)
        assert host.poll() is None
    host.kill()
    host.wait()
    for _ in range(50):  # a busy machine takes a while to end it
        seen = beat.read_text()
        time.sleep(0.2)
        if beat.read_text() == seen:
            break
    else:
        pytest.fail("it lives on")


def test_a_system_call_of_another_architecture_kills(sandbox: Sandbox) -> None:
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("only x86_64 has another numbering of calls")
    finished = python(
        sandbox, "import ctypes; ctypes.CDLL(None).syscall(ctypes.c_long(0x40000027))"
    )
    assert finished.ended == Ended("signal", 31)


def test_the_network_is_there_where_it_is_asked_for(kind: str) -> None:
    import socket

    sandbox_or_skip(kind).close()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Sandbox(kind=kind, network=True) as open_,
    ):
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('in')"
        assert python(open_, code).stdout == "in\n"


def test_a_path_is_readable_where_it_is_asked_for(kind: str, tmp_path: Path) -> None:
    sandbox_or_skip(kind).close()
    (tmp_path / "note").write_text("seen")
    tmp_path.chmod(0o755)  # for nobody, who reads where root begins it
    with Sandbox(kind=kind, read=[tmp_path]) as sandbox:
        assert sandbox.run(["cat", f"{tmp_path}/note"]).stdout == "seen"
        refused = sandbox.run(["sh", "-c", f"echo x > {tmp_path}/note"])
    assert refused.ended.status != 0
    assert (tmp_path / "note").read_text() == "seen"


def test_a_limit_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="memory=1048576: at least 67108864"):
        Limits(memory=MIB)
