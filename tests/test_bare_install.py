"""Only some distributions installed: what is there works, what is not is named."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import gguf
import pytest
from gguf import GGMLQuantizationType as Type

from .parity import gguf_file

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything in this environment that is not ours, as links."""
    folder = tmp_path_factory.mktemp("third-party")
    for item in Path(sysconfig.get_path("purelib")).iterdir():
        if "tramontane" not in item.name and item.suffix != ".pth":
            (folder / item.name).symlink_to(item)
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Distributions installed as users get them, each in a folder of its own."""
    found = {}
    for name in ("core", "arch/llama", "quant/gguf"):
        target = tmp_path_factory.mktemp(name.replace("/", "-"))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--disable-pip-version-check"]
        subprocess.run([*command, "--target", str(target), str(ROOT / name)], check=True)
        found[name] = target
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    gguf_file.pair("llama", Type.Q8_0, path)
    assert gguf.GGUFReader(path).tensors
    return path


def run(
    folders: list[Path], third_party: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """tramontane with nothing but `folders` installed."""
    paths = [str(folder) for folder in (*folders, third_party)]
    # -S: the environment's own site-packages, and with it what is installed editable, stays out
    code = f"import sys; sys.path[:0] = {paths!r}; from tramontane.cli.main import main; "
    return subprocess.run(
        [sys.executable, "-S", "-c", f"{code}sys.exit(main({list(arguments)!r}))"],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def test_three_distributions_run_a_gguf_file(
    wheels: dict[str, Path], third_party: Path, model: Path
) -> None:
    arguments = ("run", "-m", str(model), "--no-template", "-i", "abc", "-n", "5", "--json")
    done = run(list(wheels.values()), third_party, *arguments)
    assert done.returncode == 0, done.stderr
    assert '"finish_reason"' in done.stdout


@pytest.mark.parametrize(
    ("left_out", "named"),
    [("arch/llama", "tramontane-arch-llama"), ("quant/gguf", "tramontane-quant-gguf")],
)
def test_what_is_missing_is_named(
    wheels: dict[str, Path], third_party: Path, model: Path, left_out: str, named: str
) -> None:
    folders = [path for name, path in wheels.items() if name != left_out]
    done = run(folders, third_party, "run", "-m", str(model), "--no-template", "-i", "abc")
    assert done.returncode == 1
    assert f"pip install {named}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wheel_has_no_other_of_ours(wheels: dict[str, Path]) -> None:
    for name, folder in wheels.items():
        packages = {item.name for item in folder.iterdir() if not item.name.endswith(".dist-info")}
        expected = "tramontane" if name == "core" else f"tramontane_{name.replace('/', '_')}"
        assert packages - {"bin"} == {expected}


@pytest.mark.parametrize("name", ["mkl", "accelerate"])
def test_a_backend_that_stands_on_another_says_what_is_missing(
    name: str, wheels: dict[str, Path], third_party: Path, tmp_path: Path
) -> None:
    """Alone, without the CPU backend and mostly without the library: models run on the reference,
    and the device is refused with what to install or to read."""
    target = tmp_path / name
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check"]
    path = ROOT / "backends" / name
    subprocess.run([*command, "--target", str(target), str(path)], check=True)
    folders = [wheels["core"], target]
    listed = run(folders, third_party, "run", "--device", "list")
    assert listed.returncode == 0, listed.stderr
    assert f"{name}: " in listed.stdout
    refused = run(folders, third_party, "run", "--device", name, "-i", "abc", "-m", "x.gguf")
    assert refused.returncode == 1
    assert "Traceback" not in listed.stderr + refused.stderr
