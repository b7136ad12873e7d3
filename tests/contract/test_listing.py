"""`tramontane plugins` and `tramontane doctor` among plugins of which most are in trouble."""

from __future__ import annotations

import json

import pytest

PLUGINS = "from tramontane.cli.plugins import run; raise SystemExit(run({}))"
DOCTOR = "from tramontane.cli.doctor import run; raise SystemExit(run({}))"
OFFLINE = {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"}


@pytest.fixture(scope="module")
def listed(python, mini_dists):
    """What `--json` says, by distribution."""
    done = python("-c", PLUGINS.format(["--json"]), path=mini_dists)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.keys() == {"core", "plugins"}
    return {item["distribution"]: item for item in said["plugins"]}


def test_each_distribution_has_the_same_keys(listed):
    for item in listed.values():
        assert list(item) == [
            "distribution", "version", "summary", "allowed", "offers", "events", "problems",
        ]  # fmt: skip


def test_what_works_is_listed_by_kind(listed):
    assert listed["acme-good"]["offers"] == {
        "samplers": [{"name": "acme_half", "aliases": ["acme_halved"]}]
    }
    assert listed["acme-good"]["problems"] == []
    assert listed["acme-listener"]["events"] == ["model_loaded", "request_finished"]


@pytest.mark.parametrize(
    ("distribution", "error", "names"),
    [
        ("acme-broken", "PluginBroken", ["acme_broken"]),
        ("acme-misspelt", "PluginBroken", ["acme_misspelt"]),
        ("acme-wrong-argument", "PluginBroken", ["acme_wrong_argument"]),
        ("acme-clash-one", "PluginConflict", ["acme_clash"]),
        ("acme-clash-two", "PluginConflict", ["acme_clash"]),
        ("acme-too-new", "PluginIncompatible", ["acme_too_new"]),
        (
            "acme-lying",
            "PluginBroken",
            ["acme_letters", "acme_promise", "acme_second_name", "acme_wrong_record"],
        ),
        ("acme-listener", "PluginBroken", ["token_drawn"]),
    ],
)
def test_what_does_not_is_listed_with_its_reason(listed, distribution, error, names):
    problems = listed[distribution]["problems"]
    assert sorted(problem["name"] for problem in problems) == names
    assert {problem["error"] for problem in problems} == {error}
    assert all(problem["message"] for problem in problems)


def test_text_has_one_line_for_each_problem(python, mini_dists):
    done = python("-c", PLUGINS.format([]), path=mini_dists, COLUMNS="100")
    lines = done.stdout.splitlines()
    assert "  samplers        acme_half (acme_halved)" in lines
    assert "  listens to      model_loaded, request_finished" in lines
    assert sum(line.startswith("  problem ") for line in lines) == 11
    assert lines[-1].endswith("8 with problems")
    assert "\033" not in done.stdout


def test_what_the_allow_list_keeps_out_is_said_so(python, mini_dists):
    done = python("-c", PLUGINS.format([]), path=mini_dists, TRAMONTANE_PLUGINS="acme-good")
    assert "excluded by TRAMONTANE_PLUGINS" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("no problems")


def test_the_doctor_counts_each_trouble_once_and_ends_with_one(python, mini_dists):
    done = python("-c", DOCTOR.format(["--json"]), path=mini_dists, **OFFLINE)
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["ok"] is False
    messages = [
        finding["message"]
        for finding in said["findings"]
        if (finding["topic"], finding["status"]) == ("plugins", "problem")
    ]
    assert len(messages) == len(set(messages)) == 10
    assert sum("acme_clash" in message for message in messages) == 1


def test_the_doctor_is_content_when_only_good_ones_may_load(python, mini_dists):
    only = "acme-good,tramontane-backend-cpu"
    done = python("-c", DOCTOR.format([]), path=mini_dists, TRAMONTANE_PLUGINS=only, **OFFLINE)
    assert done.returncode == 0, done.stdout
    assert "TRAMONTANE_PLUGINS excludes acme-broken" in done.stdout
