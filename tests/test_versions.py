"""All distributions have one version, written out in each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tramontane
from packaging.requirements import Requirement
from tramontane.registry import CORE
from tramontane.testing.catalog import workspace

ROOT = Path(__file__).parents[1]
META = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = META["version"]
PROJECTS = {str(p.relative_to(ROOT)): t["project"] for p, t in workspace(ROOT).items()}


def test_core_says_the_version_that_it_is_built_as():
    assert tramontane.__version__ == VERSION


@pytest.mark.parametrize("path", PROJECTS)
def test_versions_are_in_lockstep(path):
    assert PROJECTS[path]["version"] == VERSION
    assert PROJECTS[path]["requires-python"] == META["requires-python"]


@pytest.mark.parametrize("path", [path for path in PROJECTS if path != "core"])
def test_a_plugin_asks_for_the_core_of_its_own_version(path):
    needs = [Requirement(line) for line in PROJECTS[path]["dependencies"]]
    assert [str(need.specifier) for need in needs if need.name == CORE] == [f"~={VERSION}"]


def test_the_meta_distribution_pins_exactly():
    extras = [line for lines in META["optional-dependencies"].values() for line in lines]
    needs = [Requirement(line) for line in [*META["dependencies"], *extras]]
    ours = [need for need in needs if need.name.startswith("tramontane-")]
    assert ours
    assert {str(need.specifier) for need in ours} == {f"=={VERSION}"}
