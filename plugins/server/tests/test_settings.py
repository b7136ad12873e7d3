"""From options and a TOML file to settings, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tramontane.errors import ConfigError
from tramontane_plugin_server import serve
from tramontane_plugin_server.settings import ModelSettings, Settings, read, written


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    """What `tramontane config` prints."""
    assert serve.config([*argv, "--print"]) == 0
    return tomllib.loads(capsys.readouterr().out)


def test_without_anything(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown(capsys)
    assert (told["host"], told["port"], told["api_key"]) == ("127.0.0.1", 1234, [])
    assert told["models"][0]["model"] == "default"  # type: ignore[index]


def test_options_are_stronger_than_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "server.toml"
    path.write_text(
        'port = 80\nkeep_alive = 3\n[[models]]\nmodel = "a.gguf"\nnum_ctx = 100\n'
        '[[models]]\nmodel = "org/b"\nload = "demand"\n'
    )
    told = shown(
        capsys, "--config", str(path), "--port", "81", "--num-ctx", "7", "--no-prefix-cache"
    )
    assert (told["port"], told["keep_alive"]) == (81, 3.0)
    models = told["models"]
    assert [m["model"] for m in models] == ["a.gguf", "org/b"]  # type: ignore[attr-defined]
    assert [m["num_ctx"] for m in models] == [7, 7]  # type: ignore[attr-defined]
    assert [m["prefix_cache"] for m in models] == [False, False]  # type: ignore[attr-defined]
    others = shown(capsys, "--config", str(path), "-m", "c", "-m", "d", "--name", "one")
    names = [(m["model"], m.get("name")) for m in others["models"]]  # type: ignore[attr-defined]
    assert names == [("c", "one"), ("d", None)]


def test_what_is_printed_can_be_read(tmp_path: Path) -> None:
    settings = read(None, {"models": [{"model": 'a "b" ü\\'}], "cors_origin": ["*"], "max_n": 3})
    path = tmp_path / "again.toml"
    path.write_text(written(settings))
    assert read(path, {}) == settings


def test_every_field_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        serve.run(["--help"])
    page = capsys.readouterr().out
    for field in [*Settings.model_fields, *ModelSettings.model_fields]:
        if field != "models":
            assert f"--{field.replace('_', '-')}" in page


def test_keys_come_from_options_files_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys"
    path.write_text("one\n\n two \n")
    assert read(None, {"api_key_file": path, "api_key": ("three",)}).keys() == {
        "one", "two", "three",
    }  # fmt: skip
    monkeypatch.setenv(serve.KEY, "four")
    assert shown(capsys)["api_key"] == ["(not shown)"]
    path.write_text("\n")
    with pytest.raises(ConfigError, match="holds no key"):
        read(None, {"api_key_file": path}).keys()
    with pytest.raises(ConfigError, match="cannot read keys"):
        read(None, {"api_key_file": tmp_path / "none"}).keys()
    with pytest.raises(ConfigError, match="a server without keys"):
        read(None, {"api_key": [" "]}).keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 80", "prot"),
        ("port = 70000", "port"),
        ("port = ", "cannot read"),
        ('tls_cert = "a"', "go together"),
        ("models = []", "models"),
        ('[[models]]\nmodel = "x/a"\n[[models]]\nmodel = "y/a"', "two models are called 'a'"),
        ("[[models]]\nmodle = 1", "modle"),
        ("keep_alive = nan", "keep_alive"),
    ],
)
def test_files_that_are_wrong_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read(path, {})
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path / "none.toml", {})


def test_the_command_line_is_said_in_one_line(tmp_path: Path) -> None:
    for arguments, said in (
        (["--tls-cert", "a", "--tls-key", "b"], "there is no file a"),
        (["--name", "a", "--name", "b"], "2 times --name for 1 models"),
        (["--log-file", str(tmp_path)], "cannot write to"),
    ):
        command = [sys.executable, "-m", "tramontane", "serve", "--port", "0", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ)
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
