"""`config`, `login`, `update-check`, short names of models, and PowerShell's completion."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tramontane.cli.completion import SCRIPTS, collect
from tramontane.cli.main import main
from tramontane.errors import ModelNotFound
from tramontane.hub import is_hub_id
from tramontane.hub.known import hub_id, known_models
from tramontane.hub.options import HubOptions
from tramontane.model.source import find_model
from tramontane.registry import Registry


def test_config_says_where_the_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("TRAMONTANE_CONFIG", "")
    assert main(["config"]) == 0
    assert "TRAMONTANE_CONFIG is set to nothing" in capsys.readouterr().out
    monkeypatch.setenv("TRAMONTANE_CONFIG", str(path))
    path.write_text('[run]\nmodel = "a"\n[serve]\napi-key = ["secret"]\n[mcp.call]\njson = true\n')
    assert main(["config"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{path}\n")
    assert '[run]\nmodel = "a"' in told
    assert "[mcp.call]\njson = true" in told
    assert "secret" not in told
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["run"] == {"model": "a"}


def test_config_names_a_file_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRAMONTANE_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["config"]) == 0
    assert str(tmp_path / "tramontane" / "config.toml") in capsys.readouterr().out


def test_config_serve_is_the_server_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "serve", "--port", "4321"]) == 0
    assert "port = 4321" in capsys.readouterr().out


def test_login_keeps_a_token_that_the_hub_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    kept: list[str] = []
    monkeypatch.setattr(huggingface_hub.HfApi, "whoami", lambda self, token: {"name": "someone"})
    monkeypatch.setattr(huggingface_hub, "login", lambda token, **_: kept.append(token))
    assert main(["login", "--token", "hf_abc"]) == 0
    assert kept == ["hf_abc"]
    printed = capsys.readouterr()
    assert "logged in as someone" in printed.out
    assert "hf_abc" not in printed.out + printed.err


def test_login_keeps_none_that_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    def unknown(self: Any, token: str) -> None:
        raise OSError("Invalid user token.\nmore")

    monkeypatch.setattr(huggingface_hub.HfApi, "whoami", unknown)
    assert main(["login", "--token", "hf_abc"]) == 1
    said = "error: the hub does not take the token: Invalid user token.\n"
    assert capsys.readouterr().err == said
    assert main(["login", "--token", "abc"]) == 2
    assert "begins with hf_" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "err", "status", "said"),
    [
        ("tramontane-core (99.0)\n", "", 0, "99.0 is there"),
        ("tramontane-core (0.0.1)\n", "", 0, "is the newest"),
        ("", "ERROR: No matching distribution found\n", 1, "pip does not say"),
        ("", "", 1, "pip does not say"),
    ],
)
def test_update_check_asks_pip(
    out: str,
    err: str,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tramontane.cli import update_check

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        text = out.replace("tramontane-core", command[-1])
        return subprocess.CompletedProcess(command, bool(err), text, err)

    monkeypatch.setattr(update_check.subprocess, "run", pip)
    assert main(["update-check"]) == status
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_short_names_are_places_on_the_hub() -> None:
    assert hub_id("qwen3:0.6b") == hub_id("Qwen3:0.6B") == "Qwen/Qwen3-0.6B"
    for name, place in known_models().items():
        assert is_hub_id(place), name
        assert not is_hub_id(name)


def test_a_short_name_is_found_as_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tramontane import hub

    asked: list[str] = []

    def download(name: str, options: HubOptions) -> Path:
        asked.append(name)
        return tmp_path

    monkeypatch.setattr(hub, "download", download)
    registry = Registry.from_environment()
    assert find_model("qwen3:0.6b", registry, HubOptions()) == tmp_path
    assert asked == ["Qwen/Qwen3-0.6B"]
    with pytest.raises(ModelNotFound, match=r"did you mean qwen3:0.6b"):
        find_model("qwen3:0.5b", registry, HubOptions())


def test_list_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--known", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == known_models()


def test_powershell_s_script_has_every_command() -> None:
    commands = collect()
    script = SCRIPTS["powershell"](commands)
    for name, words in commands.items():
        options = " ".join(each for option in words.options for each in option.names)
        assert f"'{name}' = '{options}', " in script
    assert script.count("{") == script.count("}")
