"""The units of replicas and router are what systemd takes, and name options that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tramontane_plugin_router.settings import RouterSettings
from tramontane_plugin_server.settings import Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "docs/deploy"
UNITS = {"tramontane-replica@.service": Settings, "tramontane-router.service": RouterSettings}


def values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (DEPLOY / name).read_text(), re.MULTILINE)


def analyze(*arguments: str) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    if "nknown option" in done.stderr or "nrecognized option" in done.stderr:
        pytest.skip(f"this systemd-analyze is too old: {done.stderr.strip()}")
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit_and_calls_it_confined(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name.replace("@", "@8001")
    text = (DEPLOY / name).read_text()
    unit.write_text(text.replace("/opt/tramontane/bin/tramontane", "/bin/true"))
    said = analyze("verify", str(unit))
    assert [line for line in said.splitlines() if unit.name in line] == []
    said = analyze("security", "--offline=yes", str(unit))
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    if found is None:
        pytest.skip(f"this systemd-analyze prints no exposure level: {said[:200]}")
    assert float(found[1]) < 2


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_uses_options_and_files_that_there_are(name: str) -> None:
    (start,) = values(name, "ExecStart")
    options = {word[2:].replace("-", "_") for word in start.split() if word.startswith("--")}
    assert options <= {*UNITS[name].model_fields, "config"}
    loaded = {one.partition(":")[0] for one in values(name, "LoadCredential")}
    assert set(re.findall(r"%d/([\w-]+)", start)) == loaded
    (seconds,) = values(name, "TimeoutStopSec")
    assert int(seconds) > UNITS[name].model_fields["shutdown_timeout"].default


def test_the_replicas_key_is_the_one_that_the_router_sends() -> None:
    both = [
        [one for one in values(name, "LoadCredential") if one.startswith("replica-key:")]
        for name in UNITS
    ]
    assert both[0] == both[1] != []


def test_the_page_names_options_and_metrics_that_there_are() -> None:
    page = (ROOT / "docs/replicas.md").read_text()
    options = {name.replace("-", "_") for name in re.findall(r"`--([a-z-]+)", page)}
    of_deploy = {"replicas", "max_replicas", "scale_at", "scale_down_after", "cpus", "gpus",
                 "ray_address", "config"}  # fmt: skip
    assert options <= {*RouterSettings.model_fields, *Settings.model_fields, *of_deploy, "max_seqs"}
    from tramontane_plugin_router.metrics import RouterMetrics
    from tramontane_plugin_router.replica import Replicas

    text = RouterMetrics(Replicas(), by_key=True).text().decode()
    there = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert set(re.findall(r"^\| `(tramontane_router_\w+)`", page, re.MULTILINE)) == there
