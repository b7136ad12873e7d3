"""Named keys: whose request it is, in the log and in metrics, and how much of it per minute."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from tramontane.errors import ConfigError
from tramontane_plugin_server.http.rates import Rates
from tramontane_plugin_server.key_files import Key, keys_of

from .live_server import Live, serving

LINES = """\
# the team
sk-plain
with:colon
ann: sk-ann
ann: sk-ann-new
bob.b@example: sk-bob requests_per_minute=2 tokens_per_minute=1000
carl: sk-carl tokens_per_minute=4
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("team")
    (folder / "keys").write_text(LINES)
    options = ["--api-key-file", str(folder / "keys"), "--access-log", "json"]
    with serving(folder, *options, "--open-path", "/metrics", "--metrics-by-key") as live:
        yield live


def post(team: Live, key: str, identity: str = "x") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", "x-request-id": identity}
    body = {"prompt": "Once upon a time", "max_tokens": 3, "ignore_eos": True}
    return httpx.post(f"{team.url}/v1/completions", headers=headers, json=body, timeout=60)


def test_a_file_has_keys_with_and_without_names(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(LINES)
    assert keys_of(["sk-option"], path) == {
        Key("sk-option"), Key("sk-plain"), Key("with:colon"), Key("sk-ann", "ann"),
        Key("sk-ann-new", "ann"), Key("sk-bob", "bob.b@example", 2, 1000),
        Key("sk-carl", "carl", None, 4),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sk secret", "line 1: a key has no blanks"),
        ("sk # of Ann", "comment is on a separate line"),
        ("ann: sk secret", "line 1: after the key only requests_per_minute and tokens_per_minute"),
        ("ann: sk rpm=3", "after the key only"),
        ("ann: sk requests_per_minute=0", "must be an integer of at least 1"),
        ("ann: sk requests_per_minute=1.5", "must be an integer of at least 1"),
        ("ann: sk tokens_per_minute=1 tokens_per_minute=2", "tokens_per_minute is given twice"),
        ("ann: sk\nbob: sk", "line 2: this key is in the file already"),
        ("ann: a requests_per_minute=1\nann: b", "keys named 'ann' have different limits"),
    ],
)
def test_what_is_wrong_with_a_file_is_stated_without_the_key(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as error:
        keys_of((), path)
    assert "secret" not in str(error.value)


def test_a_key_is_not_in_its_representation() -> None:
    assert "sk-ann" not in repr(Key("sk-ann", "ann"))


def test_the_log_has_the_name_and_never_the_key(team: Live) -> None:
    identities = {key: uuid.uuid4().hex for key in ("sk-ann", "sk-ann-new", "sk-plain")}
    for key, identity in identities.items():
        assert post(team, key, identity).status_code == 200
        team.wait_for_line(identity)
    lines = [json.loads(one) for one in team.log.read_text().splitlines() if one[0] == "{"]
    names = {line["id"]: line.get("key") for line in lines}
    assert [names[one] for one in identities.values()] == ["ann", "ann", None]
    assert "sk-" not in team.log.read_text()


def test_metrics_count_by_name(team: Live) -> None:
    before = team.figure("tramontane_key_tokens_total")
    usage = post(team, "sk-ann").json()["usage"]
    assert team.figure("tramontane_key_tokens_total") == before + usage["total_tokens"]
    assert 'tramontane_key_requests_total{key="ann",status="200"}' in (
        httpx.get(f"{team.url}/metrics").text
    )


def test_requests_over_the_limit_get_429(team: Live) -> None:
    answers = [post(team, "sk-bob") for _ in range(3)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    over = answers[2]
    assert over.status_code == 429
    assert 1 <= int(over.headers["retry-after"]) <= 30
    assert over.json()["error"]["code"] == "rate_limit_exceeded"
    headers = {"x-api-key": "sk-bob"}
    assert httpx.get(f"{team.url}/v1/models", headers=headers).status_code == 200
    assert post(team, "sk-ann").status_code == 200


def test_tokens_over_the_limit_get_429(team: Live) -> None:
    assert post(team, "sk-carl").status_code == 200  # its size is known only afterwards
    over = post(team, "sk-carl")
    assert over.status_code == 429
    assert "4 tokens per minute" in over.json()["error"]["message"]


def test_limits_refill_over_time() -> None:
    now = 0.0
    rates = Rates([Key("a", "ann", 2, 60), Key("b")], lambda: now)
    assert [rates.admit("ann"), rates.admit("ann")] == [None, None]
    assert rates.admit("ann") == ("requests", 2, 30)
    now = 30.0
    assert rates.admit("ann") is None
    rates.charge("ann", 90)
    now = 60.0
    assert rates.admit("ann") == ("tokens", 60, 1)
    now = 3600.0
    assert [rates.admit("ann") for _ in range(3)][2] == ("requests", 2, 30)
    assert [rates.admit("") for _ in range(3)] == [None] * 3


def test_reading_the_file_again_refills_nothing() -> None:
    rates = Rates([Key("a", "ann", 1)], lambda: 0.0)
    assert rates.admit("ann") is None
    rates.replace([Key("new", "ann", 1)])
    assert rates.admit("ann") is not None
    rates.replace([Key("new", "ann", 2)])
    assert rates.admit("ann") is None
