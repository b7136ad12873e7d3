"""The manifest for KubeRay is YAML whose command is one of ours."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tramontane_plugin_ray.deploy import _settings

ROOT = Path(__file__).parents[3]
PARTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((ROOT / "docs/deploy/kuberay.yaml").read_text("utf-8"))
)


def test_the_entrypoint_is_a_command_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    job, service = PARTS
    program, command, *options = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("tramontane", "deploy")
    settings, deploy = _settings(options)
    cluster = job["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (deploy.replicas, deploy.most)
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["cpu"] == str(deploy.cores())
    head = cluster["headGroupSpec"]["template"]
    (container,) = head["spec"]["containers"]
    folders = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert settings.api_key_file is not None
    assert str(settings.api_key_file.parent) in folders
    assert service["spec"]["selector"] == head["metadata"]["labels"]
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] == settings.port == container["ports"][0]["containerPort"]


def test_the_version_of_ray_is_the_same_everywhere() -> None:
    version = PARTS[0]["spec"]["rayClusterSpec"]["rayVersion"]
    recipe = (ROOT / "docs/deploy/Containerfile").read_text("utf-8")
    assert f'WITH="ray[serve]=={version}"' in recipe
    assert f">={version.rpartition('.')[0]}" in (ROOT / "plugins/ray/pyproject.toml").read_text()
