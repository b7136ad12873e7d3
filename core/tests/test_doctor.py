"""`tramontane doctor`: every finding, and the ways in which a machine can be odd."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from tramontane.backend import Device, Reason
from tramontane.cli import doctor
from tramontane.doctor import extensions, network, processor, storage
from tramontane.doctor.software import threads
from tramontane.plugin import Backend
from tramontane.registry import Registry

TOPICS = [
    "tramontane", "python", "torch", "packages", "cpu", "memory", "threads", "device", "hub cache",
    "cache", "disk", "hub", "plugins",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_json_has_one_finding_after_another(capsys):
    code = doctor.run(["--json"])
    said = json.loads(capsys.readouterr().out)
    assert said.keys() == {"ok", "findings"}
    assert said["ok"] is (code == 0)
    assert list(dict.fromkeys(finding["topic"] for finding in said["findings"])) == TOPICS
    for finding in said["findings"]:
        assert finding.keys() == {"topic", "status", "message", "remedy", "details"}
        assert finding["status"] in ("ok", "warning", "problem")
        assert finding["message"]


def test_text_is_aligned_and_ends_with_a_count(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TRAMONTANE_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("in the way")
    doctor.run([])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines if "/" not in line)
    assert lines[0].split()[:2] == ["tramontane", "ok"]
    assert lines[-1] == "all is well" or "warning" in lines[-1]
    assert "\033" not in "".join(lines)


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storage.tempfile, "TemporaryFile", refuse)
    finding = storage._writable("cache", tmp_path / "a" / "b", "TRAMONTANE_CACHE")
    assert finding.status == "problem"
    assert "Permission denied" in finding.message
    assert "TRAMONTANE_CACHE" in finding.remedy


@pytest.mark.parametrize(
    ("settings", "status", "word"),
    [
        ({}, "ok", "no setting"),
        ({"OMP_NUM_THREADS": "4"}, "ok", "OMP_NUM_THREADS=4"),
        ({"OMP_NUM_THREADS": "4,2"}, "ok", "4,2"),
        ({"OMP_NUM_THREADS": "many"}, "warning", "not a count"),
        ({"MKL_NUM_THREADS": "0"}, "warning", "not a count"),
        ({"NUMBA_NUM_THREADS": "64"}, "warning", "4 cores are usable"),
        ({"OMP_NUM_THREADS": "1"}, "warning", "leaves 3 of 4 cores idle"),
    ],
)
def test_odd_thread_settings_are_told(settings, status, word, monkeypatch):
    monkeypatch.setattr("tramontane.doctor.software.usable_cores", lambda: 4)
    (finding,) = threads(settings)
    assert finding.status == status
    assert word in finding.message


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_container_limits_the_cores(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert processor.quota(tmp_path) == expected


X86 = ["processor\t: 0", "model\t\t: 2", "model name\t: AMD EPYC", "flags\t\t: sse2 avx2 fma"]
PI = ["processor\t: 0", "Features\t: fp asimd asimddp", "", "Model\t\t: Raspberry Pi 5 Model B"]
SERVER = ["processor\t: 0", "Features\t: fp asimd asimddp sve i8mm bf16", "CPU part\t: 0xd40"]


@pytest.mark.parametrize(
    ("lines", "model", "features"),
    [
        (X86, "AMD EPYC", ["avx2", "fma"]),
        (PI, "Raspberry Pi 5 Model B", ["asimd", "asimddp"]),
        (SERVER, "aarch64", ["asimd", "asimddp", "i8mm", "bf16", "sve"]),
    ],
)
def test_processors_as_linux_tells_them(lines, model, features, monkeypatch):
    monkeypatch.setattr(processor, "_cpuinfo", lambda: lines)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert processor.model() == model
    assert processor.features() == features


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["avx2", "avx512bw", "avx512_vnni"], ""),
        (["asimd", "asimddp"], ""),
        (["avx2", "fma"], "no VNNI and no AVX-512, without which prefill reached 40 %"),
        (["avx2", "fma", "avx_vnni"], "no AVX-512, without which prefill reached 48 %"),
        (["avx2", "avx512bw"], "no VNNI"),
    ],
)
def test_an_older_processor_is_told_what_it_lacks(flags, said, monkeypatch):
    assert processor.lacking(flags).startswith(said)
    assert bool(processor.lacking(flags)) == bool(said)
    monkeypatch.setattr(processor, "features", lambda: flags)
    found = processor.processor()
    assert said in found.message
    assert found.details.get("lacks", "").startswith(said)


def test_what_an_older_processor_costs_is_what_was_measured():
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text("utf-8")
    rows = re.findall(r"^\| (AVX[^|]*?) (?:\(.*?\) )?\| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    rates = {name: (int(prefill), int(decode)) for name, prefill, decode in rows}
    best = rates["AVX512-BF16 and VNNI"]
    for name, flags in (("AVX2 with VNNI", ["avx2", "avx_vnni"]), ("AVX2 without VNNI", ["avx2"])):
        prefill, decode = (round(100 * a / b) for a, b in zip(rates[name], best, strict=True))
        assert f"reached {prefill} % and decoding {decode} %" in processor.lacking(flags)


def test_apples_differ(monkeypatch):
    monkeypatch.setattr(processor, "_cpuinfo", lambda: [])
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    told = {"hw.optional.arm.FEAT_DotProd": "1", "machdep.cpu.brand_string": "Apple M1"}
    monkeypatch.setattr(processor, "_sysctl", lambda name: told.get(name, ""))
    assert processor.model() == "Apple M1"
    assert processor.features() == ["asimd", "asimddp"]
    told["hw.optional.arm.FEAT_BF16"] = told["hw.optional.arm.FEAT_I8MM"] = "1"
    assert processor.features() == ["asimd", "asimddp", "i8mm", "bf16"]


def test_the_hub_is_asked_with_patience_that_ends(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(network, "PATIENCE", 0.05)
    monkeypatch.setattr(network, "_ask", lambda endpoint: time.sleep(0.5) or "")
    started = time.perf_counter()
    finding = network.hub()
    assert time.perf_counter() - started < 0.4
    assert (finding.status, finding.details["reachable"]) == ("warning", False)
    assert "HF_HUB_OFFLINE=1" in finding.remedy


def test_a_hub_that_answers_and_one_that_does_not(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(network, "_ask", lambda endpoint: "")
    assert network.hub().status == "ok"
    monkeypatch.setattr(network, "_ask", lambda endpoint: "refused")
    assert "cannot be reached: refused" in network.hub().message


def test_nothing_listening_is_told_as_the_reason():
    assert "refused" in network._ask("http://127.0.0.1:9/").lower()


def raising():
    raise OSError("no driver")


def one_device():
    return [
        Device(
            name="acme",
            torch_device="cpu",
            label="Acme",
            memory_total=4 << 30,
            memory_free=1 << 30,
            features=("fast",),
        )
    ]


@pytest.mark.parametrize(
    ("probe", "status", "words"),
    [
        (one_device, "ok", "acme: Acme, 1.1 GB of 4.3 GB free, computes in float32, fast"),
        (list, "ok", "no such device"),
        (raising, "problem", "raised OSError: no driver"),
    ],
)
def test_devices_of_each_backend(monkeypatch, probe, status, words):
    offer = Backend(name="acme", probe="-", prepare="-")
    monkeypatch.setattr(Registry, "all", lambda registry, record: [offer])
    monkeypatch.setattr(extensions, "load", lambda target: probe)
    (finding,) = extensions.devices(Registry())
    assert finding.status == status
    assert words in finding.message


def test_a_backend_explains_itself(monkeypatch):
    offer = Backend(name="acme", probe="probe", prepare="-", explain="explain")
    told = {"probe": list, "explain": lambda: [Reason("no driver", "install it"), Reason("cold")]}
    monkeypatch.setattr(Registry, "all", lambda registry, record: [offer])
    monkeypatch.setattr(extensions, "load", lambda target: told[target])
    found = [(each.status, each.message, each.remedy) for each in extensions.devices(Registry())]
    assert found == [
        ("warning", "acme: no driver", "install it"),
        ("ok", "acme: cold", ""),
    ]


def test_without_plugins_core_says_what_is_missing():
    told = [*extensions.devices(Registry([])), *extensions.plugins(Registry([]))]
    assert all(finding.status != "problem" for finding in told)
    assert "plain torch" in told[0].message
    assert "TRAMONTANE_PLUGINS" not in os.environ or told
