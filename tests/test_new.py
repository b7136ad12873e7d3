"""A generated family builds, computes what the other does, and passes the kit."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
from tramontane.config import read_config
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.tasks.task import in_engine

from .conftest import Cli, Install, Run

LIKE = sorted(
    offer.name
    for offer in Registry().all(Architecture)
    if "tramontane_arch" in offer.model and in_engine(offer)
)


@pytest.mark.parametrize("like", LIKE)
def test_every_family_can_be_begun_from(
    like: str, run: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"begun{LIKE.index(like)}"
    status, out, err = run("new", "architecture", name, "--like", like, "--into", tmp_path)
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 8
    assert f"--tramontane tramontane-arch-{name} --reference transformers" in out
    monkeypatch.syspath_prepend(str(tmp_path / name / "src"))
    package = f"tramontane_arch_{name}"
    offered = import_module(f"{package}.plugin")
    (offer,) = offered.architectures()
    model = import_module(f"{package}.model")
    config = read_config(getattr(model, offer.config.partition(":")[2]), offer.example)
    assert config.num_hidden_layers == offer.example.get("num_hidden_layers", 2)
    assert hasattr(model, offer.model.partition(":")[2])
    assert offer.weights is None or hasattr(model, offer.weights.partition(":")[2])
    for module in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[module]


def test_a_begun_family_passes_the_kit(
    run: Cli, install: Install, python: Run, tmp_path: Path
) -> None:
    assert run("new", "architecture", "acme", "--like", "llama", "--into", tmp_path)[0] == 0
    installed = install(tmp_path / "acme")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    kit = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", "."]
    options = [*kit, "-c", str(tmp_path / "pytest.ini"), "--tramontane", "tramontane-arch-acme"]
    done = python(*options, path=installed)
    assert done.returncode == 0, done.stdout + done.stderr


def test_in_a_workspace_files_go_where_they_belong(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "arch").mkdir()
    run("new", "architecture", "acme", "--like", "llama", "--into", tmp_path)
    assert (tmp_path / "arch" / "acme" / "tests" / "test_acme.py").exists()
    assert "`pip install tramontane-arch-acme`" in (tmp_path / "docs/models/acme.md").read_text()


def test_what_cannot_be_is_refused(run: Cli, tmp_path: Path) -> None:
    again = ("new", "architecture", "acme", "--like", "llama", "--into", tmp_path)
    assert run(*again)[0] == 0
    assert "exists already" in run(*again)[2]
    said = run("new", "architecture", "A_b", "--like", "llama", "--into", tmp_path)[2]
    assert "'A_b' is no name" in said
    assert "no installed plugin offers 'nobody'" in run(
        "new", "architecture", "b", "--like", "nobody", "--into", tmp_path
    )[2]  # fmt: skip


def test_a_name_with_hyphens_and_llama_cpps_name(run: Cli, tmp_path: Path) -> None:
    made = ("new", "architecture", "acme-two", "--like", "llama", "--into", tmp_path)
    assert run(*made, "--gguf", "acme2")[0] == 0
    folder = tmp_path / "acme-two"
    project = (folder / "pyproject.toml").read_text("utf-8")
    assert 'AcmeTwoForCausalLM = "tramontane_arch_acme_two.plugin"' in project
    assert 'acme2 = "tramontane_arch_acme_two.plugin"' in project
    plugin = (folder / "src/tramontane_arch_acme_two/plugin.py").read_text("utf-8")
    assert 'aliases=("acme2",)' in plugin
    assert "MODEL_ARCH_NAMES" in plugin
    assert "--tramontane tramontane-arch-acme-two" in (folder / "README.md").read_text("utf-8")
    assert (folder / "tests/test_acme_two.py").exists()
    assert "--gguf is for an architecture" in run("new", "sampler", "b", "--gguf", "b")[2]


def test_the_nearest_family_is_named(run: Cli, tmp_path: Path) -> None:
    asked = ("new", "architecture", "b", "--into", tmp_path, "--like")
    assert "did you mean 'Qwen3ForCausalLM'?" in run(*asked, "Qwen3xForCausalLM")[2]
    assert "did you mean" not in run(*asked, "ZzzyxForCausalLM")[2]
