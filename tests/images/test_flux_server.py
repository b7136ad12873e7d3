"""Images from a live server: the official client, bad requests, addresses that end, hanging up."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import openai
import pytest
from PIL import Image
from tramontane.tasks.image import ImageModel
from tramontane_plugin_server.image_store import ImageStore

from plugins.server.tests.live_server import Live, serving
from tests.images.cases import picture
from tests.images.tiny_flux import write_folder

ASKED: dict[str, Any] = {
    "seed": 7, "steps": 2, "guidance": 2.0, "max_sequence_length": 40, "n": 2,
}  # fmt: skip
MANY: dict[str, Any] = {"steps": 1000, "size": "96x64", "max_sequence_length": 512}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("images")
    write_folder(folder / "flux")
    with serving(folder, "-m", str(folder / "flux"), "--api-key", "k" * 16) as live:
        yield live


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="k" * 16, max_retries=0) as found:
        yield found


def test_the_official_client_gets_what_python_gets(client: openai.OpenAI, tmp_path: Path) -> None:
    given = {"prompt": "a red fox", "size": "64x32", "extra_body": ASKED, "model": "flux"}
    coded = client.images.generate(**given, response_format="b64_json")
    images = [opened(base64.b64decode(each.b64_json)) for each in coded.data]
    with ImageModel(write_folder(tmp_path / "flux"), threads=1) as model:
        here = model.images("a red fox", width=64, height=32, **ASKED)
    assert coded.size == "64x32"
    assert [each.seed for each in coded.data] == [7, 8]
    for ours, theirs in zip(here.images, images, strict=True):
        assert np.array_equal(ours, theirs)
    at = client.images.generate(**given, output_format="webp")
    answer = httpx.get(at.data[0].url)  # it needs no key
    assert answer.headers["content-type"] == "image/webp"
    assert opened(answer.content).shape == (32, 64, 3)
    place, name = at.data[0].url.rsplit("/", 1)
    gone = httpx.get(f"{place}/{'b' if name[0] == 'a' else 'a'}{name[1:]}")
    assert gone.status_code == 404
    assert "make it again" in gone.json()["error"]["message"]


def test_an_image_is_edited(client: openai.OpenAI) -> None:
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "PNG")
    more = {"seed": "7", "steps": "4", "strength": "0.5", "max_sequence_length": "40"}
    found = client.images.edit(
        image=("fox.png", file.getvalue()), prompt="snow", response_format="b64_json",
        extra_body=more,
    )  # fmt: skip
    # its own size, in multiples of 16
    assert opened(base64.b64decode(found.data[0].b64_json)).shape == (64, 80, 3)
    with pytest.raises(openai.BadRequestError, match="mask is not supported"):
        client.images.edit(
            image=("fox.png", file.getvalue()), mask=("mask.png", file.getvalue()), prompt="snow"
        )
    with pytest.raises(openai.BadRequestError, match="image is no image of a known format"):
        client.images.edit(image=("fox.png", b"no picture"), prompt="snow")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"size": "100x100"}, "width 100 is no multiple of 16: take 96 or 112"),
        ({"size": "4096x4096"}, "more than 4,194,304"),
        ({"size": "99999x16"}, "width should be a whole number from 16 to 4,096"),
        ({"size": "large"}, "size"),
        ({"n": 17}, "n"),
        ({"steps": 0}, "steps"),
        ({"steps": 1000, "size": "2048x2048"}, "more than the 1024 of one request"),
        ({"max_sequence_length": 513}, "more than 512"),
        ({"prompt": "  "}, "the prompt is empty"),
        ({"background": "transparent"}, "no transparency"),
        ({"stream": True}, "sent whole"),
        ({"strength": 0.5}, None),
    ],
)
def test_bad_requests_are_answered_with_the_way_out(
    live: Live, asked: dict[str, Any], said: str | None
) -> None:
    body = {"prompt": "a fox", "size": "16x16", "steps": 1, "max_sequence_length": 8, **asked}
    with live.client(headers={"authorization": "Bearer " + "k" * 16}) as client:
        answer = client.post("/v1/images/generations", json=body)
    if said is None:  # not this route's
        assert answer.headers["x-tramontane-ignored"] == "strength"
        return
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]


def test_other_routes_name_the_right_one(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="/v1/images/generations"):
        client.chat.completions.create(
            model="default", messages=[{"role": "user", "content": "a fox"}]
        )


def test_who_hangs_up_ends_the_work_between_steps(live: Live, client: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1.0).images.generate(prompt="a fox", extra_body=MANY)
    until = time.monotonic() + 60
    while 'outcome="cancelled"' not in metrics(live):
        assert time.monotonic() < until, "the work goes on"
        time.sleep(0.05)
    found = client.images.generate(
        prompt="a fox", size="16x16", extra_body={"steps": 1, "max_sequence_length": 8}
    )
    assert len(found.data) == 1


def test_addresses_end_after_their_time_and_the_oldest_where_there_is_no_room() -> None:
    store = ImageStore(holds=0.0)
    assert store.get(store.put(b"1", "png", "image/png")) is None
    store = ImageStore(most=10)
    names = [store.put(bytes(4), "png", "image/png") for _ in range(3)]
    assert store.get(names[0]) is None
    assert [store.get(name) is not None for name in names[1:]] == [True, True]


def metrics(live: Live) -> str:
    lines = httpx.get(
        f"{live.url}/metrics", headers={"authorization": "Bearer " + "k" * 16}
    ).text.splitlines()
    name = "tramontane_task_requests_total"
    return "\n".join(each for each in lines if each.startswith(name))


def opened(data: bytes) -> Any:
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))
