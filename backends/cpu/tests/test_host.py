"""What LLVM says of the machine is kept, for machines with this processor only."""

from __future__ import annotations

from pathlib import Path

import pytest
from tramontane_backend_cpu import cpu_features

DESCRIPTION = "processor\t: 0\nmodel name\t: {name}\ncpu MHz\t: {speed}\nflags\t: fpu avx2\n\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that describes a processor, and an empty folder."""
    described = tmp_path / "cpuinfo"
    described.write_text(DESCRIPTION.format(name="one", speed=1))
    monkeypatch.setattr(cpu_features, "DESCRIPTION", described)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kept"))
    return described


def told(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """The processor's name, where LLVM would say that it is `name`."""
    answer = cpu_features.Host(name, "x86_64-linux", ("avx2",))
    monkeypatch.setattr(cpu_features, "_by_llvm", lambda: answer)
    return cpu_features.host.__wrapped__().name


def test_llvm_is_asked_once(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, "first") == "first"
    assert told(monkeypatch, "second") == "first"
    machine.write_text(DESCRIPTION.format(name="one", speed=2))
    assert told(monkeypatch, "second") == "first"


def test_another_processor_is_asked_about(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, "first") == "first"
    machine.write_text(DESCRIPTION.format(name="two", speed=1))
    assert told(monkeypatch, "second") == "second"


@pytest.mark.parametrize("held", ["", "{", "[]", '{"name": "first"}'])
def test_a_damaged_answer_is_asked_for_again(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, held: str
) -> None:
    told(monkeypatch, "first")
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(held)
    assert told(monkeypatch, "second") == "second"
    assert told(monkeypatch, "third") == "second"


def test_nothing_is_kept_where_it_cannot_be(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("not a folder")
    assert told(monkeypatch, "first") == "first"
    assert told(monkeypatch, "second") == "second"
    machine.unlink()
    assert told(monkeypatch, "third") == "third"


def test_the_answer_is_llvms() -> None:
    assert cpu_features.host() == cpu_features._by_llvm()
