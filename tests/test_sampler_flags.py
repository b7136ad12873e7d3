"""Samplers bring options of the command line, and state what they exclude."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tramontane.errors import RequestError
from tramontane.plugin import Sampler
from tramontane.registry import Registry
from tramontane.sampling.chain import build_chain
from tramontane.sampling.step import SamplerContext
from tramontane.sampling_params import SamplingParams

from .conftest import Cli, Install, Run
from .strangers.page import write_page

LIGHT = """
import sys
from tramontane.cli.main import main
try:
    main(["run", "--help-all"])
except SystemExit:
    print([name for name in ("acme_epsilon", "torch", "numpy", "pydantic") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def installed(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's sampler."""
    folder = tmp_path_factory.mktemp("page") / "epsilon"
    write_page("writing-a-sampler", folder)
    return install(folder)


def test_help_lists_a_flag_under_its_plugin_and_imports_nothing(
    installed: Path, python: Run
) -> None:
    shown = python("-c", LIGHT, path=installed).stdout
    assert "acme-tramontane-epsilon:\n" in shown
    assert "  --epsilon X" in shown.partition("acme-tramontane-epsilon:")[2]
    assert shown.endswith("[]\n")


@pytest.mark.parametrize("value", ["0.5", "0"])
def test_a_flag_sets_the_option(
    value: str, installed: Path, run: Cli, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(installed))
    line = ["run", "-m", model, "-i", "a", "-n", "2", "--no-template", "--json"]
    status, out, err = run(*line, "--epsilon", value, "--temperature", "1", "--seed", "1")
    assert status == 0, err
    chain = run(*line, "--sampler", f"epsilon:{value}/temperature:1", "--seed", "1")
    assert json.loads(out)["text"] == json.loads(chain[1])["text"]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (["--epsilon", "much"], 2, "--epsilon much: sampler 'epsilon': epsilon='much' must be a"),
        (["--epsilon", "3"], 1, "sampler epsilon: epsilon=3.0 must be from 0 to under 1"),
        (["--epsilno", "3"], 2, "unknown option --epsilno; did you mean --epsilon?"),
        (["--epsilon", "0.1", "--sampler", "epsilon:0.2"], 1, "'epsilon' is set twice"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line(
    given: list[str], status: int, said: str, installed: Path, run: Cli, model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(installed))
    found, _, err = run("run", "-m", model, "-i", "a", "-n", "2", "--no-template", *given)
    assert (found, said in err, err.count("\n")) == (status, True, 1), err


def test_a_flag_that_clashes_or_is_not_offered_is_told_when_used(
    install: Install, installed: Path, run: Cli, model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_page("writing-a-sampler", tmp_path, {"acme": "other"})
    project = tmp_path / "pyproject.toml"
    text = project.read_text().replace('samplers"]\nepsilon', 'samplers"]\nother')
    flags = '[project.entry-points."tramontane.sampler_flags"]\n'
    more = 'temperature = "other_epsilon.plugin"\nlost = "other_epsilon.plugin"\n'
    project.write_text(text.replace(flags, flags + more))
    for folder in (installed, install(tmp_path)):
        monkeypatch.syspath_prepend(str(folder))
    line = ["run", "-m", model, "-i", "a", "-n", "1", "--no-template", "-q"]
    said = run(*line, "--epsilon", "0.1")[2]
    assert "acme-tramontane-epsilon and other-tramontane-epsilon" in said
    assert "advertises the flag --lost but no sampler offers it" in run(*line, "--lost", "1")[2]
    assert run(*line, "--temperature", "0.5")[0] == 0  # core's own stays
    assert "--lost but no sampler" in run("plugins")[1]


CONTEXT = SamplerContext(
    vocab_size=3, seed=0, context_length=8, eos_ids=frozenset(),
    encode=lambda text: [], decode=lambda tokens: "",
)  # fmt: skip


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target whose step changes nothing."""
    module = ModuleType("acme_passing")
    vars(module)["build"] = lambda options, context: lambda candidates, history: candidates
    monkeypatch.setitem(sys.modules, "acme_passing", module)


def offer(name: str, order: int, exclusive: bool | None = None) -> Sampler:
    return Sampler(name=name, order=order, exclusive=exclusive, build="acme_passing:build")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (offer("a", 300), offer("b", 150), "a finds by itself how many tokens to keep"),
        (offer("a", 300), offer("b", 310), "a and b exclude each other"),
        (offer("a", 300, False), offer("b", 150), None),
        (offer("a", 300, False), offer("b", 310), None),
        (offer("a", 120, True), offer("b", 150), "a finds by itself how many tokens to keep"),
        (offer("a", 120, True), offer("b", 310), "a and b exclude each other"),
        (offer("a", 120, True), offer("b", 250), None),
        (offer("a", 250, True), offer("b", 10), None),
    ],
)
def test_what_excludes_others_is_stated(
    first: Sampler, second: Sampler, said: str | None, passing: None
) -> None:
    params = SamplingParams(sampler="a/b")
    if said is None:
        assert len(build_chain(params, [first, second], CONTEXT).steps) == 2
    else:
        with pytest.raises(RequestError, match=said):
            build_chain(params, [first, second], CONTEXT)


def test_mirostat_is_exclusive_by_its_own_word() -> None:
    offers = Registry().all(Sampler)
    assert {each.name for each in offers if each.exclusive} == {"mirostat1", "mirostat2"}
