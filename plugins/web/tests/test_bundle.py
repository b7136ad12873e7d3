"""The built page is what its sources say, small, and complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from tramontane.pages import read_files
from tramontane_plugin_web.plugin import pages

HERE = Path(__file__).parents[1]
PAGE, PACKAGE = HERE / "page", HERE / "src/tramontane_plugin_web"
BUILD = "run: cd plugins/web/page && npm ci && npm run build"
MOST = 400_000
LINES = 400


def digests(folder: Path, names: list[str]) -> dict[str, str]:
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names)}


def sources() -> list[str]:
    """Paths below the page's folder of all that the build reads."""
    top = [path for path in PAGE.iterdir() if path.is_file() and not path.name.startswith(".")]
    below = [
        path for name in ("src", "style") for path in (PAGE / name).rglob("*") if path.is_file()
    ]
    return [path.relative_to(PAGE).as_posix() for path in (*top, *below)]


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((PACKAGE / "bundle.json").read_text("utf-8"))
    return found


def test_the_bundle_is_of_these_sources(told: dict[str, dict[str, str]]) -> None:
    assert told["sources"] == digests(PAGE, sources()), BUILD
    static = PACKAGE / "static"
    assert told["built"] == digests(static, [path.name for path in static.iterdir()]), BUILD


def test_the_bundle_is_small_and_loads_nothing_from_elsewhere() -> None:
    (page,) = pages()
    files = read_files(page)
    assert len(files["app.js"]) + len(files["app.css"]) < MOST
    loaded = re.findall(r'(?:src|href)="([^"]+)"', files["index.html"].decode())
    assert set(loaded) == {"icon.svg", "app.css", "app.js"}
    fetched = re.findall(rb"url\(([^)]*)\)", files["app.css"])
    assert all(url.startswith((b'"data:', b"data:", b"./", b'"./')) for url in fetched), fetched
    assert not re.search(rb"\b(?:eval|Function)\(", files["app.js"])


def test_every_package_in_it_is_pinned_and_licensed() -> None:
    wanted = json.loads((PAGE / "package.json").read_text("utf-8"))["dependencies"]
    licences = (PACKAGE / "static/licences.txt").read_text("utf-8")
    for name, version in wanted.items():
        assert re.search(
            rf"^{re.escape(name)} {re.escape(version)} \(.+\)$", licences, re.MULTILINE
        )
    lock = (PAGE / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert '"integrity"' in lock


def test_sources_are_short() -> None:
    counts = {name: len((PAGE / name).read_text("utf-8").splitlines())
              for name in sources() if name.endswith((".ts", ".css", ".mjs"))}  # fmt: skip
    assert {name: count for name, count in counts.items() if count > LINES} == {}


def test_all_english_is_in_one_file() -> None:
    """Nothing that a person reads or hears is written anywhere else."""
    said = re.compile(r"""(?:aria-label|title|placeholder|alt)"?:\s*["'`][A-Za-z]""")
    found = [
        name
        for name in sources()
        if name.endswith(".ts") and name != "src/text.ts" and said.search((PAGE / name).read_text())
    ]
    assert found == []


@pytest.mark.skipif(os.environ.get("TRAMONTANE_FULL") != "1", reason="TRAMONTANE_FULL is not 1")
def test_building_again_gives_the_same_bytes(
    told: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    if shutil.which("npm") is None or not (PAGE / "node_modules").is_dir():
        pytest.skip("npm, or plugins/web/page/node_modules, is missing: npm ci makes it")
    page = tmp_path / "page"
    shutil.copytree(PAGE, page, symlinks=True)
    (tmp_path / "src/tramontane_plugin_web/static").mkdir(parents=True)
    subprocess.run(["npm", "run", "build"], cwd=page, check=True, timeout=120, capture_output=True)
    again = json.loads((tmp_path / "src/tramontane_plugin_web/bundle.json").read_text("utf-8"))
    assert again == told
