"""The unit, the image's recipe and its ignore file, checked without systemd or a container engine
where there is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from tramontane_plugin_server.settings import Settings

from .live_server import serving

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "docs/deploy"
UNIT = (DEPLOY / "tramontane.service").read_text()
RECIPE = (DEPLOY / "Containerfile").read_text()
HERE = Path(__file__).parent
INSTRUCTION = re.compile(r"^([A-Z]+) (.+(?:\\\n.+)*)", re.MULTILINE)


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def instructions(kind: str) -> list[str]:
    text = re.sub(r"(?m)^#.*\n", "", RECIPE)
    found = [(name, " ".join(said.replace("\\\n", " ").split())) for name, said in
             INSTRUCTION.findall(text)]  # fmt: skip
    return [said for name, said in found if name == kind]


def analyze(*arguments: str) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    if "nknown option" in done.stderr or "nrecognized option" in done.stderr:
        pytest.skip(f"this systemd-analyze is too old: {done.stderr.strip()}")
    return done.stdout + done.stderr


@pytest.fixture
def runnable(tmp_path: Path) -> Path:
    """The unit, with a program that is here."""
    unit = tmp_path / "tramontane.service"
    unit.write_text(UNIT.replace("/opt/tramontane/bin/tramontane", "/bin/true"))
    return unit


def test_systemd_finds_nothing_wrong_with_the_unit(runnable: Path) -> None:
    complaints = [line for line in analyze("verify", str(runnable)).splitlines()
                  if runnable.name in line]  # fmt: skip
    assert complaints == []


def test_systemd_calls_the_unit_well_confined(runnable: Path) -> None:
    said = analyze("security", "--offline=yes", str(runnable))
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    if found is None:
        pytest.skip(f"this systemd-analyze prints no exposure level: {said[:200]}")
    assert float(found[1]) < 2


@pytest.mark.parametrize("name", [
    "LoadCredential", "StateDirectory", "CacheDirectory", "SystemCallFilter",
    "CapabilityBoundingSet", "UMask", "DynamicUser", "NoNewPrivileges",
])  # fmt: skip
def test_the_unit_confines_the_server(name: str) -> None:
    assert values(name)


def test_no_setting_of_the_unit_is_given_twice_by_mistake() -> None:
    names = re.findall(r"^(\w+)=", UNIT, re.MULTILINE)
    assert {name for name in names if names.count(name) > 1} <= {"Environment", "SystemCallFilter"}


def test_the_unit_gives_the_keys_that_it_loads() -> None:
    (credential,), (start,) = values("LoadCredential"), values("ExecStart")
    name, _, source = credential.partition(":")
    assert f"--api-key-file %d/{name}" in start
    assert source.startswith("/etc/tramontane/")


def test_what_the_server_writes_is_below_the_units_folders() -> None:
    folders = dict(one.split("=", 1) for one in values("Environment"))
    assert folders["TRAMONTANE_CACHE"].startswith(f"/var/cache/{values('CacheDirectory')[0]}")
    assert folders["HF_HOME"].startswith(f"/var/lib/{values('StateDirectory')[0]}/")


def options_of(command: list[str]) -> set[str]:
    return {word[2:].replace("-", "_") for word in command if word.startswith("--")}


def test_the_files_use_options_that_there_are() -> None:
    entry = json.loads(instructions("ENTRYPOINT")[0])
    for command in (values("ExecStart")[0].split(), entry):
        assert options_of(command) <= {*Settings.model_fields, "config"}


def ignored(name: str) -> bool:
    """Whether the ignore file leaves a path out: the last pattern that fits it, or a folder
    above it, decides."""
    parts = name.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        anywhere = pattern.removeprefix("**/")
        fits = (
            any(fnmatch(part, anywhere) for part in parts)
            if pattern.startswith("**/")
            else any(one.count("/") == pattern.count("/") and fnmatch(one, pattern)
                     for one in above)
        )  # fmt: skip
        if fits:
            out = not line.startswith("!")
    return out


@pytest.mark.parametrize("name", [
    ".venv/bin/python", ".git/config", "tests/tiny.py", "core/src/tramontane/__pycache__/x.pyc",
    "shared/x", "keys", "docs/serving.md", "plugins/server/tests/localhost.pem",
])  # fmt: skip
def test_the_image_is_built_without(name: str) -> None:
    assert ignored(name)


def copied() -> list[str]:
    return [source for said in instructions("COPY") for source in said.split()[:-1]]


def test_the_image_copies_what_there_is_and_what_is_sent() -> None:
    assert "." not in copied()
    for name in copied():
        assert (ROOT / name).exists()
        assert not ignored(name)
    for project in ROOT.glob("*/*/pyproject.toml"):
        name = project.relative_to(ROOT).as_posix()
        if name.startswith("integrations/"):  # for other programs' environments
            continue
        assert not ignored(name)
        assert name.split("/")[0] in copied()


def test_the_image_is_built_as_is_good_practice() -> None:
    (base,), entry = instructions("FROM"), json.loads(instructions("ENTRYPOINT")[0])
    assert ":" in base
    assert not base.endswith(":latest")
    assert instructions("USER") == ["tramontane"]
    assert all("--no-cache-dir" in said for said in instructions("RUN") if "pip install" in said)
    assert entry[0] == "tramontane"  # the server gets SIGTERM, no shell in between
    assert any("warmup" in said for said in instructions("RUN"))
    assert not re.search(r"(?i)^(?:ARG|ENV) .*(?:KEY|TOKEN|PASSWORD)=", RECIPE, re.MULTILINE)
    (volume,) = instructions("VOLUME")
    folders = dict(word.split("=", 1) for said in instructions("ENV") for word in said.split())
    for name in ("HF_HOME", "TRAMONTANE_CACHE"):
        assert folders[name].startswith(f"{volume}/")


def test_torch_is_installed_first_and_from_the_index_that_is_named() -> None:
    first, *_ = [said for said in instructions("RUN") if "pip install" in said]
    assert first.endswith(" torch")
    assert "TORCH_INDEX" in first
    assert "TORCH_INDEX=" in instructions("ARG")


@pytest.mark.parametrize("kind", ["http", "https", "unix"])
def test_the_health_check_follows_the_servers_address(tmp_path: Path, kind: str) -> None:
    written = tmp_path / "address"
    options = ["--load", "demand", "--address-file", str(written)]
    if kind == "https":
        pem = str(HERE / "localhost.pem")
        options += ["--tls-cert", pem, "--tls-key", pem]
    if kind == "unix":
        options += ["--uds", str(tmp_path / "s")]
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[2] == json.loads(instructions("ENTRYPOINT")[0])[-1]
    run = [sys.executable, str(DEPLOY / Path(command[1]).name), str(written)]
    assert subprocess.run(run, timeout=60).returncode == 1
    with serving(tmp_path, *options):
        assert written.read_text().startswith(f"{kind}:")
        assert subprocess.run(run, timeout=60).returncode == 0
    assert not written.exists()
