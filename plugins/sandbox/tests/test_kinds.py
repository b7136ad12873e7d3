"""Which sandbox is taken, and what is said where there is none."""

from __future__ import annotations

import ctypes.util
import platform
import shutil
from pathlib import Path

import pytest
from tramontane.errors import UsageError
from tramontane_plugin_sandbox import NoSandbox, Sandbox, kinds, runtime, sandbox
from tramontane_plugin_sandbox.inside.syscall_numbers import ABSENT, REFUSED
from tramontane_plugin_sandbox.seatbelt import profile


def on(monkeypatch: pytest.MonkeyPatch, system: str, user: int, *programs: str) -> list[str]:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(kinds, "_root", lambda: user == 0)
    monkeypatch.setattr(shutil, "which", lambda name: name if name in programs else None)
    monkeypatch.setattr(kinds, "SANDBOX_EXEC", "/bin/sh")
    return kinds.candidates("auto")


def test_bubblewrap_goes_first_but_not_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert on(monkeypatch, "Linux", 1000, "bwrap") == ["bubblewrap", "namespaces"]
    assert on(monkeypatch, "Linux", 0, "bwrap") == ["namespaces", "bubblewrap"]
    assert on(monkeypatch, "Linux", 1000) == ["namespaces"]
    assert on(monkeypatch, "Darwin", 501) == ["seatbelt"]


def test_a_machine_without_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoSandbox, match="--sandbox off"):
        on(monkeypatch, "FreeBSD", 1000)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(NoSandbox, match="--sandbox off"):
        on(monkeypatch, "Linux", 1000)


def test_one_that_does_not_begin_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "candidates", lambda kind: ["bubblewrap", "namespaces"])
    monkeypatch.setattr(sandbox, "_trouble", lambda kind: {"bubblewrap": "no rights"}.get(kind, ""))
    with Sandbox() as found:
        assert found.kind == "namespaces"
    monkeypatch.setattr(sandbox, "_trouble", lambda kind: "no rights")
    said = "no sandbox: bubblewrap: no rights; namespaces: no rights; `--sandbox off`"
    with pytest.raises(NoSandbox, match=said):
        Sandbox()


def test_the_owner_may_do_without() -> None:
    with Sandbox(kind="off") as found:
        assert found.run(["sh", "-c", "echo $HOME"]).stdout == f"{found.folder}\n"


def test_a_folder_that_is_given_stays(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with Sandbox(folder, kind="off") as found:
        found.run(["touch", "left"])
    assert (folder / "left").exists()
    with Sandbox(kind="off") as found:
        pass
    assert not found.folder.exists()


@pytest.mark.parametrize("command", [[], ["a\0b"]])
def test_a_command_that_cannot_be_is_refused(command: list[str]) -> None:
    with Sandbox(kind="off") as found, pytest.raises(UsageError, match="at least one word"):
        found.run(command)


def test_a_program_that_is_not_there_is_said() -> None:
    with Sandbox(kind="off") as found:
        ended = found.run(["no-such-program"]).ended
    assert (ended.how, ended.why) == (
        "failed",
        "'no-such-program' cannot be run: no such file or directory",
    )


def test_folders_inside_are_not_those_of_the_host() -> None:
    shown = runtime.shown()
    inside = [path for _, path in shown.read]
    assert len(inside) == len(set(inside))
    assert not any(
        path.startswith((runtime.FOLDER, "/proc", "/home"))
        for path in inside
        if path != str(Path.home())
    )


@pytest.mark.parametrize(("machine", "token"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_numbers_of_system_calls_are_those_of_libseccomp(machine: str, token: int) -> None:
    found = ctypes.util.find_library("seccomp")
    if found is None:
        pytest.skip("libseccomp is not installed")
    library = ctypes.CDLL(found)
    column = 0 if machine == "x86_64" else 1
    known = 0
    for name, numbers in {**REFUSED, **ABSENT}.items():
        theirs = library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(token), name.encode())
        if theirs >= 0:
            assert theirs == numbers[column], name
            known += 1
    assert known > 60


def test_a_profile_of_macos_names_all_that_is_allowed() -> None:
    text = profile([Path("/opt/py")], [Path('/tmp/a "b"')], network=False)
    assert text.startswith("(version 1)\n(deny default)\n")
    assert '(allow file-read* process-exec* (subpath "/opt/py"))' in text
    assert '(allow file-write* (subpath "/tmp/a \\"b\\""))' in text
    assert '(allow file-write* (subpath "/opt/py"))' not in text
    assert "network" not in text
    assert "network*" in profile([], [], network=True)
