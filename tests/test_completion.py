"""Scripts for the completion of shells: static, and made without what is heavy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tramontane.cli.completion import SCRIPTS, collect
from tramontane.cli.main import BUILT_IN, main
from tramontane.testing.import_cost import heavy_imports


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "tramontane.bash"
    path.write_text(SCRIPTS["bash"](collect()))
    return path


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    quoted = " ".join(f"'{word}'" for word in ("tramontane", *words))
    program = (
        f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _tramontane;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ins"], ["inspect"]),
        (["run", "--temp"], ["--temperature"]),
        (["run", "--kv-type", "f1"], ["f16"]),
        (["run", "model.gguf", "--logit-b"], ["--logit-bias"]),
        (["new", "arch"], ["architecture"]),
        (["new", "--into", "arch"], []),
        (["serve", "--no-mma"], ["--no-mmap"]),
        (["completion", "fi"], ["fish"]),
        (["run", "--chat-template", "x"], []),
        (["unknown", "--x"], []),
    ],
)
def test_bash_completes(bash: Path, words: list[str], expected: list[str]) -> None:
    assert completed(bash, *words) == expected


def test_every_command_is_offered(bash: Path) -> None:
    assert {*BUILT_IN, "serve", "config", "mcp", "--help"} <= {*completed(bash, "")}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_has_no_syntax_error(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "temperature" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script)
    subprocess.run([shell, "-n", path], check=True)


def test_it_imports_nothing_heavy() -> None:
    statement = "from tramontane.cli.completion import collect; collect()"
    assert not {"torch", "numba", "transformers", "huggingface_hub"} & {*heavy_imports(statement)}
