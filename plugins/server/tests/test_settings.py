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
from tramontane_plugin_server.key_files import Key
from tramontane_plugin_server.model_settings import ModelSettings
from tramontane_plugin_server.settings import Settings, read, written


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    """What `tramontane config serve` prints."""
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
    others = shown(
        capsys, "--config", str(path), "-m", "c", "-m", "d", "--name", "one", "--name", "two"
    )
    names = [(m["model"], m.get("name")) for m in others["models"]]  # type: ignore[attr-defined]
    assert names == [("c", "one"), ("d", "two")]


def test_what_is_printed_can_be_read(tmp_path: Path) -> None:
    settings = read(None, {"models": [{"model": 'a "b" ü\\'}], "cors_origin": ["*"], "max_n": 3})
    path = tmp_path / "again.toml"
    path.write_text(written(settings))
    assert read(path, {}) == settings


def test_a_model_listed_twice_is_one_with_two_names() -> None:
    listed = [{"model": "a", "name": "x"}, {"model": "a", "name": "y", "alias": ["z"]}]
    (model,) = read(None, {"models": listed}).models
    assert (model.name, model.alias) == ("x", ("y", "z"))
    assert len(read(None, {"models": [*listed, {"model": "a", "num_ctx": 9}]}).models) == 2


def test_every_field_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        serve.run(["--help-all"])
    page = capsys.readouterr().out
    for field in [*Settings.model_fields, *ModelSettings.model_fields]:
        if field != "models":
            name = field.replace("_", "-")
            assert f"--{name}" in page or f"--no-{name}" in page


def test_keys_come_from_options_files_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys"
    path.write_text("one\n\n two \n")
    assert read(None, {"api_key_file": path, "api_key": ("three",)}).keys() == {
        Key("one"), Key("two"), Key("three"),
    }  # fmt: skip
    path.write_text("\ufeff# a heading\none\n  # more\n\n#two\n")
    assert read(None, {"api_key_file": path}).keys() == {Key("one")}
    assert read(None, {"admin_key_file": path, "admin_key": [" top "]}).admin_keys() == {
        Key("one"), Key("top"),
    }  # fmt: skip
    path.write_text("one\ntwo # of Ann\n")
    with pytest.raises(ConfigError, match="line 2: a key has no blanks"):
        read(None, {"api_key_file": path}).keys()
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
        ("prot = 80", "unknown key 'prot': did you mean 'port'?"),
        ("port = 70000", r"port: must be at most 65535 \(it is 70000\)"),
        ('port = "x"', r"port: must be an integer \(it is \"x\"\)"),
        ("port = 1.5", "port: must be an integer"),
        ("mcp = 3", "mcp: must be true or false"),
        ('access_log = "xml"', "access_log: must be 'text', 'json' or 'off'"),
        ("api_key = 'x'", "api_key: must be a list"),
        ('uds_mode = "rw"', "uds_mode: must match"),
        ('open_path = ["/v1/models"]', "open_path.0: must be '/ready'"),
        ("num_ctx = 100", r"unknown key 'num_ctx': it is of a model, so it goes below \[\[models"),
        ('[[model]]\nmodel = "x"', r"unknown key 'model': .*\[\[models\]\]"),
        ('[models]\nmodel = "x"', r"\[models\] has one pair of brackets"),
        ("[[models]]\nport = 1", "unknown key 'port': it is of the server, .* above the first"),
        ('[[models]]\nalias = [""]', "models.0.alias.0: must have at least 1 character"),
        ('[[models]]\nmodel = "a"\nalias = ["b"]\n[[models]]\nmodel = "b"', "called 'b'"),
        ("port = ", "cannot read"),
        ('tls_cert = "a"', "go together"),
        ("models = []", "models"),
        ('[[models]]\nmodel = "x/a"\n[[models]]\nmodel = "y/a"', "two models are called 'a'"),
        ("[[models]]\nmodle = 1", "models.0: unknown key 'modle': did you mean 'model'?"),
        ("keep_alive = nan", "keep_alive"),
    ],
)
def test_files_that_are_wrong_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")) as caught:
        read(path, {})
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path / "none.toml", {})


def test_the_command_line_is_said_in_one_line(tmp_path: Path) -> None:
    for arguments, said in (
        (["--tls-cert", "a", "--tls-key", "b"], "there is no file a"),
        (["--name", "a", "--name", "b"], "2 times --name for 1 models"),
        (["-m", "a", "-m", "b", "--name", "x"], "1 times --name for 2 models"),
        (["-m", "a", "-m", "b", "--alias", "x"], "does not say which model"),
        (["--port", "70000"], "--port: must be at most 65535"),
        (["--port", "x"], '--port: must be an integer (it is "x")'),
        (["--access-log", "xml"], "--access-log: must be 'text', 'json' or 'off'"),
        (["--prot", "80"], "unknown option --prot; did you mean --port?"),
        (["--host", "192.0.2.1"], "this machine has no such address"),
        (["--log-file", str(tmp_path)], "cannot write to"),
    ):
        command = [sys.executable, "-m", "tramontane", "serve", "--port", "0", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ)
        )
        assert done.returncode == (2 if said.startswith("un") else 1)
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_an_encoder_and_none_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"mmproj='a\.gguf' and no_mmproj exclude each other"):
        read(None, {"mmproj": "a.gguf", "no_mmproj": True})


@pytest.mark.parametrize("host", ["a b", "http://a", "a:0"])
def test_hosts_to_fetch_from_are_hosts(host: str) -> None:
    with pytest.raises(ConfigError, match="names no host"):
        read(None, {"fetch_host": [host]})
