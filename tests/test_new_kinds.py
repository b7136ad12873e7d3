"""A generated plugin of every kind installs, passes the kit and its own tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tramontane.cli.main import main
from tramontane.plugin import Architecture
from tramontane.registry import KINDS as ALL
from tramontane.registry import Registry
from tramontane.scaffold.like import family
from tramontane.scaffold.plugin import KINDS

from .conftest import Cli, Install, Run

KIT = ["-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", ".", "-c", "pytest.ini"]


def generate(folder: Path) -> list[Path]:
    """One of each kind."""
    for kind in KINDS:
        assert main(["new", kind, f"my-{kind}", "--into", str(folder)]) == 0
    return [folder / f"my-{kind}" for kind in KINDS]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    generate(folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


@pytest.fixture(scope="module")
def installed(generated: Path, install: Install) -> Path:
    """All of them together."""
    return install(*(generated / f"my-{kind}" for kind in KINDS))


# in one process: half of the time would go to importing torch for each
CHECK_ALL = """
import json, sys
from pathlib import Path
import pytest
status = {}
for dist in sys.argv[1:]:
    status[dist] = int(pytest.main([*KIT, "--tramontane", dist]))
own = sorted(str(tests) for tests in Path().glob("*/tests"))
status["own tests"] = int(pytest.main([*KIT, *own]))
print(json.dumps(status))
"""


def test_there_is_one_for_every_kind() -> None:
    assert {kind.group for kind in KINDS.values()} | {"architectures"} == set(ALL)


def test_generated_plugins_pass_the_kit_and_their_own_tests(
    generated: Path, installed: Path, python: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    dists = [f"tramontane-{about.part}-my-{kind}" for kind, about in KINDS.items()]
    monkeypatch.chdir(generated)
    done = python("-c", f"KIT = {KIT!r}\n{CHECK_ALL}", *dists, path=installed)
    status = json.loads(done.stdout.splitlines()[-1])
    assert status == dict.fromkeys([*dists, "own tests"], 0), done.stdout + done.stderr


def test_a_generated_model_and_sampler_run(
    installed: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(installed))
    status, out, err = run("run", "-m", "my-model", "-i", "a", "-n", "3", "--my-sampler", "0.5")
    assert status == 0, err
    assert out


@pytest.mark.parametrize(
    ("like", "name"),
    [
        ("gptj", "GPTJForCausalLM"),
        ("tramontane-arch-gptj", "GPTJForCausalLM"),
        ("tramontane_arch_gptj", "GPTJForCausalLM"),
        ("gpt2", "GPT2LMHeadModel"),
        ("qwen3", "Qwen3ForCausalLM"),
    ],
)
def test_a_family_is_found_by_distribution_and_folder(like: str, name: str) -> None:
    assert family(Registry(), like) == Registry().get(Architecture, name)


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("new architecture a", 2, "give --like FAMILY"),
        ("new sampler a --like llama", 2, "--like is for an architecture, not for a sampler"),
        ("new samplers a", 2, "did you mean sampler?"),
        ("new sampler A_b", 1, "'A_b' is no name for a plugin"),
        ("new sampler ../x", 1, "is no name for a plugin"),
        ("new architecture a --like deepseek", 1, "name one of DeepseekV2ForCausalLM, Deep"),
        ("new architecture a --like gptk", 1, "no installed plugin offers 'gptk'"),
    ],
)
def test_what_cannot_be_is_one_line(
    line: str, status: int, said: str, run: Cli, tmp_path: Path
) -> None:
    found, _, err = run(*line.split(), "--into", tmp_path)
    assert (found, said in err, err.count("\n")) == (status, True, 1), err
    assert not any(tmp_path.iterdir())


def test_in_a_workspace_a_plugin_goes_where_its_kind_is(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    assert run("new", "command", "words", "--into", tmp_path)[0] == 0
    assert (tmp_path / "plugins" / "words" / "README.md").exists()
    assert "exists already" in run("new", "command", "words", "--into", tmp_path)[2]
