"""The user's configuration file gives options their default values."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tramontane.cli.main import main
from tramontane.cli.parser import Parser
from tramontane.errors import ConfigError
from tramontane.system import paths


def parser(name: str = "run") -> Parser:
    made = Parser(f"tramontane {name}")
    made.add_argument("-m", "--model", default="default")
    made.add_argument("--threads", type=int)
    made.add_argument("--temperature", type=float, default=1.0)
    made.add_argument("--device", choices=["auto", "cpu"], default="auto")
    made.add_argument("--stop", action="append")
    made.add_argument("--json", action="store_true")
    made.add_argument("--hf-cache", type=Path)
    shape = made.add_mutually_exclusive_group()
    shape.add_argument("--grammar")
    shape.add_argument("--json-schema")
    return made


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("TRAMONTANE_CONFIG", str(path))
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    return path


def test_values_are_defaults_that_the_command_line_replaces(config: Path) -> None:
    config.write_text(
        '[run]\nmodel = "a.gguf"\nthreads = 3\ntemperature = 0.5\nstop = ["x", "y"]\njson = true\n'
        'device = "cpu"\ngrammar = "json"\n[bench]\nthreads = 9\n'
    )
    found = parser().parse_args([])
    assert (found.model, found.threads, found.temperature, found.device) == (
        "a.gguf",
        3,
        0.5,
        "cpu",
    )
    assert (found.stop, found.json, found.grammar) == (["x", "y"], True, "json")
    line = ["b.gguf", "--threads", "1", "--stop", "z", "--json-schema", "{}"]
    found = parser().parse_args(line)
    assert (found.model, found.threads, found.stop) == ("b.gguf", 1, ["z"])
    assert (found.grammar, found.json_schema) == (None, "{}")


def test_the_environment_replaces_it_too(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('[run]\nhf-cache = "/a"\n')
    assert parser().parse_args([]).hf_cache == Path("/a")
    monkeypatch.setenv("HF_HOME", "/b")
    assert parser().parse_args([]).hf_cache is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[run]\nthread = 3\n",
            r"config.toml: \[run\] thread: unknown key; did you mean 'threads'",
        ),
        ("[benhc]\n", r"\[benhc\]: there is no such command; did you mean 'bench'"),
        ("threads = 3\n", r"threads: options belong below a command, such as \[run\]"),
        ('[run]\nthreads = "x"\n', r"\[run\] threads: invalid int value: 'x'"),
        ('[run]\ndevice = "gpu"\n', r"\[run\] device: invalid choice: 'gpu'"),
        ("[run]\njson = 1\n", r"\[run\] json: should be true or false, not 1"),
        ("[run]\nthreads = true\n", r"\[run\] threads: should be a value, not true"),
        ("[run.more]\nthreads = 1\n", r"\[run\] more: unknown key"),
        ("[run\n", "cannot read .*config.toml"),
    ],
)
def test_mistakes_are_errors(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(ConfigError, match=message):
        parser().parse_args([])


def test_help_needs_no_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[")
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    assert "--threads" in capsys.readouterr().out


def test_where_it_is(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="TRAMONTANE_CONFIG: there is no file"):
        parser().parse_args([])
    monkeypatch.setenv("TRAMONTANE_CONFIG", "")
    assert paths.user_config() is None
    monkeypatch.delenv("TRAMONTANE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    assert paths.user_config() == config.parent / "tramontane/config.toml"
    assert parser().parse_args([]).model == "default"


def test_a_server_takes_its_own_file_first(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("[serve]\nport = 8001\nmax-seqs = 4\nnum_ctx = 64\nmmap = false\n")
    assert main(["config", "serve"]) == 0
    settings = tomllib.loads(capsys.readouterr().out)
    (model,) = settings["models"]
    assert (settings["port"], model["max_seqs"], model["mmap"]) == (8001, 4, False)
    own = tmp_path / "server.toml"
    own.write_text("port = 8002\n[[models]]\nnum_ctx = 32\n")
    assert main(["config", "serve", "--config", str(own), "--max-seqs", "5"]) == 0
    settings = tomllib.loads(capsys.readouterr().out)
    (model,) = settings["models"]
    assert (settings["port"], model["num_ctx"], model["max_seqs"]) == (8002, 32, 5)
    config.write_text("[serve]\nprot = 8001\n")
    assert main(["config", "serve"]) == 1
    assert "did you mean 'port'" in capsys.readouterr().err
