"""Everything that keeps a model from coming is told in one line, with a way out, and no token."""

from __future__ import annotations

import errno
import hashlib
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from tramontane import LLM
from tramontane.errors import DownloadError, ModelNotFound, TramontaneError
from tramontane.hub import download, fetch
from tramontane.hub.options import HubOptions
from tramontane.hub.token import read_token

from .fake_hub import FakeHub
from .hub_repos import BIG

SECRET = "hf_secretsecret"
Usage = namedtuple("Usage", "total used free")


def refused(name: str, options: HubOptions, kind: type[TramontaneError]) -> str:
    """What the error says, which is one line without the token."""
    with pytest.raises(kind) as caught:
        download(name, options)
    said = str(caught.value)
    assert "\n" not in said
    assert SECRET not in said
    return said


def test_no_such_repository(hub: FakeHub, options: HubOptions) -> None:
    said = refused("org/absent", options, ModelNotFound)
    assert f"no model org/absent at {hub.url}" in said
    assert "no such folder here" in said
    assert "hf auth login" in said


def test_private(hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.private["org/one"] = SECRET
    assert "if it is private, log in" in refused("org/one", options, ModelNotFound)
    monkeypatch.setenv("MINE", "hf_another")
    given = HubOptions(cache_dir=options.cache_dir, token_source="env:MINE")
    assert "the token from env:MINE must be allowed" in refused("org/one", given, ModelNotFound)
    monkeypatch.setenv("MINE", SECRET)
    assert download("org/one", given).exists()


def test_gated(hub: FakeHub, options: HubOptions) -> None:
    hub.gated.add("org/whole")
    said = refused("org/whole", options, ModelNotFound)
    assert f"org/whole is gated: accept its terms at {hub.url}/org/whole" in said
    assert "hf auth login" in said
    given = HubOptions(cache_dir=options.cache_dir, token_source=f"literal:{SECRET}")
    assert "wait for access" in refused("org/whole", given, ModelNotFound)


def test_a_refused_token(hub: FakeHub, options: HubOptions) -> None:
    hub.bad_tokens.add(SECRET)
    given = HubOptions(cache_dir=options.cache_dir, token_source=f"literal:{SECRET}")
    said = refused("org/one", given, DownloadError)
    assert "refuses the token from literal:..." in said
    assert "--token-source none" in said


def test_no_such_revision(hub: FakeHub, options: HubOptions) -> None:
    given = HubOptions(cache_dir=options.cache_dir, revision="vv1")
    said = refused("org/one", given, ModelNotFound)
    assert "org/one has no revision 'vv1': name a branch, a tag or a commit" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("org/files", "name one of org/files:m-Q4_0.gguf, org/files:m-Q8_0.gguf, "
         "org/files:s-00001-of-00002.gguf, org/files:sub/m-F16.gguf"),
        ("org/files:M-q8_0.gguf", "did you mean org/files:m-Q8_0.gguf?"),
        ("org/files:m-Q4_1.gguf", "did you mean org/files:m-Q4_0.gguf?"),
        ("org/files:else.gguf", "org/files has no file else.gguf; name one of org/files:m-Q4_0"),
        ("org/whole:no.gguf", "has no file no.gguf"),
        ("org/files:t-00001-of-00002.gguf", "lacks t-00002-of-00002.gguf, a part of t-00001-of"),
        ("org/nothing", "it has no weights (*.safetensors, *.bin or *.pth)"),
        ("org/unconfigured", "it has no config.json"),
    ],
)  # fmt: skip
def test_not_what_can_be_loaded(hub: FakeHub, options: HubOptions, name: str, said: str) -> None:
    assert said in refused(name, options, ModelNotFound)
    assert hub.fetched() == []


@pytest.mark.parametrize("name", ["../../escape.safetensors", "sub/m.safetensors", "", 5])
def test_an_index_that_leads_elsewhere(hub: FakeHub, options: HubOptions, name: Any) -> None:
    hub.repos["org/sharded"]["model.safetensors.index.json"] = (
        b'{"weight_map": {"a": %s}}' % repr(name).replace("'", '"').encode()
    )
    with pytest.raises(TramontaneError, match=r"'a' is in .*, which is not a file name"):
        download("org/sharded", options)


def test_an_index_that_names_what_is_missing(hub: FakeHub, options: HubOptions) -> None:
    del hub.repos["org/sharded"]["model-2.safetensors"]
    said = refused("org/sharded", options, ModelNotFound)
    assert "its index names model-2.safetensors, which is missing" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("org/sharded", "org/sharded:config.json is not in the cache"),
        ("org/one:m.gguf", "org/one:m.gguf is not in the cache"),
        ("org/files:s-00002-of-00002.gguf", "org/files:s-00001-of-00002.gguf is not in the cache"),
    ],
)
def test_offline_and_not_cached(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    told = refused(name, options, ModelNotFound)
    assert said in told
    assert "HF_HUB_OFFLINE is set: unset it to download" in told
    assert hub.requests == []


def test_offline_and_cached_in_part(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    (download("org/sharded", options) / "model-2.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = refused("org/sharded", options, ModelNotFound)
    assert "names model-2.safetensors, which is missing" in said


def test_offline_and_several_files(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("m-Q4_0.gguf", "m-Q8_0.gguf"):
        download(f"org/files:{name}", options)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = refused("org/files", options, ModelNotFound)
    assert "name one of org/files:m-Q4_0.gguf, org/files:m-Q8_0.gguf" in said


def test_nobody_answers(hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    said = refused("org/one", options, DownloadError)
    assert "cannot reach http://127.0.0.1:9 for org/one" in said
    assert "HF_ENDPOINT" in said


@pytest.mark.parametrize("endpoint", ["htp://x", "nonsense", "http://", "http://[::1"])
def test_an_endpoint_that_is_none(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    assert "HF_ENDPOINT" in refused("org/one", options, DownloadError)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "answers 500"), (503, "answers 503"), (403, "forbids org/one"),
        (429, "takes no more requests"), (418, "answers 418"), (400, "answers 400"),
    ],
)  # fmt: skip
def test_other_answers(hub: FakeHub, options: HubOptions, status: int, said: str) -> None:
    hub.status = status
    assert said in refused("org/one", options, DownloadError)


@pytest.mark.parametrize(
    "page", [b"<html>log in to this network</html>", b"[]", b"{}", b'{"id": "x", "siblings": [1]}']
)
def test_not_a_hub(hub: FakeHub, options: HubOptions, page: bytes) -> None:
    hub.page = page
    assert "check HF_ENDPOINT" in refused("org/one", options, DownloadError)


def test_too_little_room_is_told_before_a_byte(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.sizes["m.gguf"] = 7_000_000_000
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(9, 9, 1_500_000_000))
    said = refused("org/one", options, DownloadError)
    assert "needs 7.0 GB more on the disk" in said
    assert "1.5 GB are free" in said
    assert "HF_HOME" in said
    assert hub.fetched() == []


def test_a_disk_that_fills_up(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(fetch, "SMALL", 1000)
    blobs = (options.cache_dir or Path()) / "models--org--one" / "blobs"
    blobs.mkdir(parents=True)
    partial = blobs / f"{hashlib.sha256(BIG).hexdigest()}.incomplete"
    partial.symlink_to(full)
    said = refused("org/one", options, DownloadError)
    assert f"the disk of {options.cache_dir} is full" in said
    assert "run again to go on" in said
    assert partial.is_symlink()  # what was fetched is kept
    partial.unlink()
    assert download("org/one", options).read_bytes() == BIG


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_cache_that_cannot_be_written(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        raise OSError(code, "not here")

    monkeypatch.setattr("os.makedirs", refuse)
    said = refused("org/one", options, DownloadError)
    assert f"cannot write to the cache {options.cache_dir}: not here; name a folder" in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("env:ABSENT_HERE", "env:ABSENT_HERE names a variable that is not set"),
        ("env:EMPTY_HERE", "env:EMPTY_HERE is empty"),
        ("path:/absent/file", "path:/absent/file cannot be read: No such file"),
        ("path:/", "path:/ cannot be read: Is a directory"),
        ("literal:", "the token source literal says no token"),
        ("literal: ", "literal:... is empty"),
        (f"literal:{SECRET} {SECRET}", "literal:... holds no token"),
        (f"literal:{SECRET}\n{SECRET}", "literal:... holds no token"),
        (f"literal:{SECRET}ö", "literal:... holds no token"),
        (SECRET, "it must be cache, none, literal:TOKEN, env:NAME or path:FILE"),
        ("keyring:x", "it must be cache, none"),
        (f"{SECRET}:x", "it must be cache, none"),
    ],
)
def test_token_sources_that_have_none(
    options: HubOptions, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.setenv("EMPTY_HERE", " \n")
    given = HubOptions(cache_dir=options.cache_dir, token_source=source)
    assert said in refused("org/one", given, DownloadError)


@pytest.mark.parametrize("source", ["cache", "env:MINE", "path:{}/mine", f"literal:{SECRET}"])
def test_token_sources(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    for name in ("mine", "token"):
        (tmp_path / name).write_text(f"{SECRET}\n")
    monkeypatch.setenv("MINE", SECRET)
    token = read_token(source.format(tmp_path))
    assert token.value == SECRET
    assert SECRET not in repr(token)
    download("org/one", HubOptions(cache_dir=tmp_path, token_source=source.format(tmp_path)))
    sent = {headers.get("authorization") for _, path, headers in hub.requests if "/org/" in path}
    assert sent == {f"Bearer {SECRET}"}


def test_no_token_is_sent_when_none_is_wanted(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    download("org/one", HubOptions(cache_dir=tmp_path, token_source="none"))
    assert not any("authorization" in headers for _, _, headers in hub.requests)


def test_the_python_api_downloads_too(hub: FakeHub, options: HubOptions) -> None:
    with pytest.raises(ModelNotFound, match="org/absent"):
        LLM("org/absent", cache_dir=options.cache_dir)
