"""Models come from a hub whole, only what is needed of them, and go on after an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from huggingface_hub import constants
from tramontane.errors import DownloadError, ModelNotFound
from tramontane.hub import download, fetch, is_hub_id, model
from tramontane.hub.choose import whole_model
from tramontane.hub.options import HubOptions

from .fake_hub import FakeHub
from .hub_repos import BIG

NEEDED = ["config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja",
          "additional_chat_templates/tool_use.jinja"]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["org/name", "a/b", "Org-1/na.me_2", "org/name:file.gguf", "org/name:sub/file-00001.gguf"],
)
def test_hub_ids(name: str) -> None:
    assert is_hub_id(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "name", "org/", "/name", "org/name/more", "./name", "../name", "/abs/path", "~/model",
        "org/name:", "org/name:file", "org/name:../x.gguf", "org/name:/x.gguf",
        "org/name:a//b.gguf", "org/name:.hidden.gguf", "org/name:a\nb.gguf", "org/na--me",
        "org/na..me", "-org/name", "org/name-", "org/name.git", "models/file.gguf",
        "models/file.safetensors", "models/config.json", "org name/x", "org/n\nx", "C:/model",
        "org\\name", "https://host/org/name", "ö/name", "o" * 97 + "/n",
    ],
)  # fmt: skip
def test_no_hub_ids(name: str) -> None:
    assert not is_hub_id(name)
    with pytest.raises(ModelNotFound, match="is not a hub id"):
        download(name, HubOptions())


def test_a_folder_brings_what_loads_and_nothing_else(hub: FakeHub, options: HubOptions) -> None:
    folder = download("org/whole", options)
    assert (folder / "model.safetensors").read_bytes() == BIG
    assert hub.fetched() == [*NEEDED, "model.safetensors"]


def test_shards_are_those_of_the_index(hub: FakeHub, options: HubOptions) -> None:
    folder = download("org/sharded", options)
    shards = ["model-1.safetensors", "model-2.safetensors"]
    assert hub.fetched() == ["model.safetensors.index.json", *NEEDED, *shards]
    assert (folder / "model-2.safetensors").read_bytes() == BIG[::-1]


PARTS = [
    "model_index.json", "scheduler/scheduler_config.json", "tokenizer/merges.txt",
    "tokenizer_2/spiece.model", "transformer/config.json", "vae/config.json",
    "transformer/model.safetensors.index.json", "transformer/model-1.safetensors",
    "transformer/model-2.safetensors", "vae/diffusion_pytorch_model.safetensors",
]  # fmt: skip


@pytest.mark.parametrize("offline", [False, True])
def test_a_folder_of_parts_brings_each(
    hub: FakeHub, options: HubOptions, offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = download("org/parts", options)
    there = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert sorted(there) == sorted(PARTS)
    if offline:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert download("org/parts", options) == folder
        (folder / "transformer/model-2.safetensors").unlink()
        with pytest.raises(ModelNotFound, match=r"only a part of org/parts: .*model-2"):
            download("org/parts", options)


def test_an_adapter_is_found_without_a_network(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = download("org/adapter", options)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert download("org/adapter", options) == folder


def test_without_safetensors_there_is_bin(hub: FakeHub, options: HubOptions) -> None:
    assert (download("org/old", options) / "pytorch_model.bin").exists()


@pytest.mark.parametrize("name", ["m-Q4_0.gguf", "sub/m-F16.gguf"])
def test_one_file(hub: FakeHub, options: HubOptions, name: str) -> None:
    path = download(f"org/files:{name}", options)
    assert path.name == Path(name).name
    assert path.read_bytes() == BIG
    assert hub.fetched() == [name]


@pytest.mark.parametrize("part", [1, 2])
def test_every_part_of_a_split_file(hub: FakeHub, options: HubOptions, part: int) -> None:
    path = download(f"org/files:s-0000{part}-of-00002.gguf", options)
    assert path.name == "s-00001-of-00002.gguf"
    assert path.with_name("s-00002-of-00002.gguf").read_bytes() == BIG[::-1]


def test_the_only_file_needs_no_name(hub: FakeHub, options: HubOptions) -> None:
    assert download("org/one", options).name == "m.gguf"
    assert hub.fetched() == ["m.gguf"]


def test_what_is_in_the_cache_is_not_fetched_again(hub: FakeHub, options: HubOptions) -> None:
    first = download("org/whole", options)
    hub.requests.clear()
    assert download("org/whole", options) == first
    assert hub.fetched() == []
    assert len(hub.requests) == 2  # the list of files, and what its branch stands for


def test_a_revision_has_a_folder_of_its_own(hub: FakeHub, options: HubOptions) -> None:
    first = download("org/whole", options)
    hub.repos["org/whole"]["config.json"] = b'{"new": 1}'
    hub.requests.clear()
    second = download("org/whole", HubOptions(cache_dir=options.cache_dir, revision="v1"))
    assert second != first
    assert (second / "config.json").read_bytes() == b'{"new": 1}'
    assert hub.fetched() == ["config.json"]  # the other contents are the same


@pytest.mark.parametrize("name", ["org/whole", "org/sharded", "org/one", "org/files:m-Q4_0.gguf",
                                  "org/files:s-00001-of-00002.gguf"])  # fmt: skip
def test_offline_from_the_cache(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    online = download(name, options)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.requests.clear()
    assert download(name, options) == online
    assert hub.requests == []


@pytest.mark.parametrize("status", [500, 503])
def test_a_hub_out_of_order_leaves_the_cache(
    hub: FakeHub, options: HubOptions, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    online = download("org/whole", options)
    hub.status = status
    assert download("org/whole", options) == online
    assert "using the cache" in caplog.text


@pytest.mark.parametrize("begun", [1, 1000, len(BIG) - 1])
def test_an_interrupted_download_goes_on(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch, begun: int
) -> None:
    monkeypatch.setattr(fetch, "SMALL", 1000)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1)  # less than this is not kept
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.cut["model.safetensors"] = begun
    with pytest.raises(DownloadError, match=r"answers 503.*what was fetched is kept"):
        download("org/whole", options)
    hub.cut.clear()
    hub.status = 0
    hub.requests.clear()
    folder = download("org/whole", options)
    assert (folder / "model.safetensors").read_bytes() == BIG
    asked = [h.get("range") for m, p, h in hub.requests if m == "GET" and p.endswith("tensors")]
    assert asked == [f"bytes={begun}-"]
    assert not list((options.cache_dir or folder).rglob("*.incomplete"))


def test_what_was_there_before_is_checked(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SMALL", 1000)
    blobs = (options.cache_dir or Path()) / "models--org--one" / "blobs"
    blobs.mkdir(parents=True)
    blob = fetch.RemoteFile(
        "m.gguf", 1, json.loads(hub.info("org/one"))["siblings"][1]["lfs"]["sha256"]
    ).blob
    (blobs / f"{blob}.incomplete").write_bytes(b"rubbish")
    with pytest.raises(DownloadError, match=r"m\.gguf is damaged: its SHA-256.*run again"):
        download("org/one", options)
    assert download("org/one", options).read_bytes() == BIG


def test_a_partial_file_that_is_too_long_starts_anew(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SMALL", 1000)
    blobs = (options.cache_dir or Path()) / "models--org--one" / "blobs"
    blobs.mkdir(parents=True)
    blob = hashlib.sha256(BIG).hexdigest()
    (blobs / f"{blob}.incomplete").write_bytes(BIG + b"more")
    assert download("org/one", options).read_bytes() == BIG


def test_disk_space_counts_what_is_still_to_come(
    hub: FakeHub, options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    download("org/one", options)
    monkeypatch.setattr(model, "SPARE", 1 << 60)
    assert download("org/one", options).exists()


SCRIPT = (
    "import sys; from tramontane.hub import download; "
    "from tramontane.hub.options import HubOptions;"
)
RUN = SCRIPT + "print(download(sys.argv[1], HubOptions(token_source='env:MINE')))"


def test_the_environment_says_where_and_who(hub: FakeHub, tmp_path: Path) -> None:
    hub.private["org/one"] = "hf_secret"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"),
                   "MINE": "hf_secret\n", "HF_HUB_OFFLINE": "0"}  # fmt: skip
    command = [sys.executable, "-c", RUN, "org/one"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).read_bytes() == BIG
    assert str(tmp_path / "home" / "hub") in done.stdout
    assert done.stderr == ""  # no progress bar where nobody watches
    environment |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout


def test_a_terminal_sees_progress(hub: FakeHub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "MINE": "x",
                   "HF_HUB_OFFLINE": "0"}  # fmt: skip
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    command = [sys.executable, "-c", RUN, "org/one"]
    subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error
        while part := os.read(ours, 100_000):
            shown += part
    os.close(ours)
    assert b"m.gguf: 100%" in shown


def test_how_media_are_prepared_is_downloaded() -> None:
    named = [
        "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"
    ]  # fmt: skip
    small, _ = whole_model(["config.json", "model.safetensors", *named], "org/name")
    assert small == ["config.json", *named]


def test_an_xlora_is_downloaded_with_its_adapters() -> None:
    files = ["adapter_config.json", "adapter_model.safetensors"]
    there = [f"{folder}/{file}" for folder in ("a", "more/b") for file in files]
    named = ["README.md", "xlora_config.json", "xlora_classifier.safetensors", *there]
    small, weights = whole_model([*named, "one/two/three/adapter_config.json", "a/x.bin"], "o/n")
    assert small == ["xlora_config.json", there[0], there[2]]
    assert weights == ["xlora_classifier.safetensors", there[1], there[3]]
    plain = ["adapter_config.json", "adapter_model.safetensors", "checkpoint-5/adapter_config.json"]
    assert whole_model(plain, "o/n") == (plain[:1], plain[1:2])


def test_modules_of_sentence_transformers_are_fetched_with_their_model() -> None:
    there = [
        "config.json", "model.safetensors", "modules.json", "sentence_bert_config.json",
        "config_sentence_transformers.json", "1_Pooling/config.json", "2_Dense/config.json",
        "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin", "onnx/model.onnx", "README.md",
        "3_Other/code.py",
    ]  # fmt: skip
    small, weights = whole_model(there, "org/name")
    assert weights == ["model.safetensors"]
    assert {*small} == {*there[:1], *there[2:8]}
    assert whole_model(["config.json", "model.safetensors", "1_Pooling/config.json"], "o/n")[0] == [
        "config.json"
    ]
