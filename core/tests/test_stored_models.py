"""`pull`, `list` and `rm`: models in the cache, by the names that -m takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tramontane.cli.main import main
from tramontane.hub import download
from tramontane.hub.options import HubOptions

from .fake_hub import FakeHub
from .hub_repos import BIG

NAMES = ["org/whole", "org/files:m-Q4_0.gguf", "org/files:s-00001-of-00002.gguf", "org/one"]


@pytest.fixture
def cache(hub: FakeHub, options: HubOptions) -> Path:
    for name in NAMES:
        download(name, options)
    assert options.cache_dir is not None
    return options.cache_dir


def listed(cache: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    capsys.readouterr()
    assert main(["list", "--json", "--hf-cache", str(cache)]) == 0
    found = json.loads(capsys.readouterr().out)["models"]
    assert all(Path(model["path"]).exists() and model["complete"] for model in found)
    return {model["name"]: model["bytes"] for model in found if not model["installed"]}


def test_list_names_what_was_downloaded(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(cache, capsys)
    assert set(found) == {*NAMES[:3], "org/one:m.gguf"}
    assert found["org/files:m-Q4_0.gguf"] == len(BIG)
    main(["list", "--cache-dir", str(cache)])
    assert "today" in capsys.readouterr().out


def test_an_empty_cache_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(tmp_path / "none", capsys) == {}
    (tmp_path / "file").write_text("x")
    assert listed(tmp_path / "file", capsys) == {}


def test_a_part_that_is_missing_is_shown(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (part,) = cache.rglob("s-00002-of-00002.gguf")
    part.unlink()
    main(["list", "--hf-cache", str(cache)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "s-00001" in line]
    assert line.endswith("today, incomplete")


@pytest.mark.parametrize("name", [*NAMES, "org/one:m.gguf"])
def test_rm_removes_that_model_and_no_other(
    cache: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = listed(cache, capsys)
    assert main(["rm", name, "--hf-cache", str(cache)]) == 0
    assert capsys.readouterr().out.startswith(f"removed {name}, ")
    gone = before.keys() - listed(cache, capsys).keys()
    assert {model.partition(":")[0] for model in gone} == {name.partition(":")[0]}
    assert len(gone) == 1
    assert main(["rm", name, "--hf-cache", str(cache)]) == 1
    assert f"{name} is not in the cache" in capsys.readouterr().err


def test_rm_keeps_contents_that_another_file_has(
    cache: Path, hub: FakeHub, options: HubOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = download("org/files:m-Q8_0.gguf", options)  # the same bytes, so one blob
    main(["rm", "org/files:m-Q4_0.gguf", "--hf-cache", str(cache)])
    assert "0 B freed" in capsys.readouterr().out
    assert twin.read_bytes() == BIG


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embedded", "a plugin's model"),
        (__file__, "a local file or folder"),
        ("../x/y", "is not a hub id"),
        ("org/nothing", "not in the cache"),
    ],
)
def test_rm_touches_nothing_else(
    cache: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert main(["rm", name, "--hf-cache", str(cache)]) == 1
    assert message in capsys.readouterr().err
    assert len(listed(cache, capsys)) == 4


def test_pull_downloads(hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = ("--hf-cache", str(tmp_path / "cache"))
    assert main(["pull", "org/whole", *cache]) == 0
    path, _, size = capsys.readouterr().out.strip().partition(" (")
    assert (Path(path) / "model.safetensors").read_bytes() == BIG
    assert size == "16.4 KB)"
    assert main(["pull", "org/nowhere", *cache]) == 1
    assert main(["pull", "embedded"]) == 0
    assert "on this machine already" in capsys.readouterr().out
