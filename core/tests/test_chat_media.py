"""Media among the parts of messages, in the forms of all APIs."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tramontane.chat.media_parts import attached_file, places, put_media, take_media
from tramontane.chat.template import ChatTemplate
from tramontane.errors import RequestError
from tramontane.media.fetch import Fetch
from tramontane.media.files import file_bytes
from tramontane.media.options import MOST_ITEMS, MediaOptions

DATA = base64.b64encode(b"pixels").decode()
URL = f"data:image/png;base64,{DATA}"
TEXT = {"type": "text", "text": "what?"}


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": URL, "detail": "high"}},
        {"type": "image_url", "image_url": URL},
        {"type": "input_image", "image_url": URL},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        {"type": "image", "source": {"type": "url", "url": URL}},
        {"type": "image", "image": URL},
        {"type": "image", "url": URL},
        {"type": "file", "file": {"file_data": URL, "filename": "a"}},
        {"type": "file", "file": {"file_data": DATA, "filename": "a.png"}},
        {"type": "input_file", "file_data": URL},
        {"type": "input_file", "file_data": DATA, "filename": "A.JPG", "detail": "high"},
    ],
)
@pytest.mark.parametrize("local", [True, False])
def test_forms(part: dict[str, Any], local: bool) -> None:
    messages, (image,) = take_media(user(part, TEXT), local=local)
    assert messages == user({"type": "image"}, TEXT)
    assert image.source == b"pixels"
    assert image.where == "message 0, part 0"


def test_python_names_files_and_has_images_of_its_own() -> None:
    own = object()
    _, images = take_media(
        user({"type": "image", "image": own}, {"type": "image", "path": "/tmp/a b.png"},
             {"type": "image_url", "image_url": {"url": "file:///tmp/a%20b.png"}})
    )  # fmt: skip
    assert [image.source for image in images] == [own, "/tmp/a b.png", "/tmp/a b.png"]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "image"}, "message 0, part 0 is an image without one"),
        ({"type": "image_url"}, "image_url should be a text, not None"),
        ({"type": "image_url", "image_url": {"url": 7}}, "should be a text, not 7"),
        ({"type": "image_url", "image_url": "https://a.example/b.png"}, "is not fetched: load it"),
        ({"type": "image_url", "image_url": "data:image/png,x"}, "no data: URL in base64"),
        (
            {"type": "image", "source": {"type": "file", "file_id": "x"}},
            "base64 or url, not 'file'",
        ),
        ({"type": "image", "image": "/etc/hostname"}, "this server reads no files"),
        ({"type": "image_url", "image_url": "file:///etc/hostname"}, "this server reads no files"),
        ({"type": "image", "image": b"bytes"}, "an image without one"),
        ({"type": "file", "file": {"file_id": "f"}}, "there are no stored files here"),
        ({"type": "file", "file": {}}, "a file without file_data"),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA=="},
            "a file of type 'application/pdf': only",
        ),
        ({"type": "input_file", "file_data": "AA==", "filename": "a"}, "a file of unknown type"),
        ({"type": "input_file", "file_data": "data:;base64,AA=="}, "of unknown type: say it in"),
        ({"type": "file", "file": {"file_data": "AA=="}}, "or by a filename with an ending"),
        ({"type": "input_file", "file_url": "https://a.example/b"}, "of unknown type"),
        ({"type": "input_file", "file_url": "/etc/a.png"}, "this server reads no files"),
    ],
)
def test_what_a_server_refuses(part: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        take_media(user(part), local=False)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}, "audio"),
        ({"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{DATA}"}}, "audio"),
        ({"type": "audio", "audio": f"data:audio/wav;base64,{DATA}"}, "audio"),
        ({"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{DATA}"}}, "video"),
        ({"type": "video", "video": f"data:video/mp4;base64,{DATA}"}, "video"),
    ],
)
def test_sounds_and_videos(part: dict[str, Any], kind: str) -> None:
    messages, (found,) = take_media(user(part, TEXT), local=False)
    assert messages == user({"type": kind}, TEXT)
    assert (found.kind, found.source) == (kind, b"pixels")
    with pytest.raises(RequestError, match="but this model takes text and images: leave it out"):
        take_media(user(part, TEXT), kinds=["image"])
    with pytest.raises(RequestError, match="but this model takes text only"):
        take_media(user(part, TEXT), kinds=[])


def test_an_array_has_its_rate_next_to_it() -> None:
    array = np.zeros(3)
    part = {"type": "audio", "audio": array, "sampling_rate": 8000}
    _, (found,) = take_media(user(part))
    assert found.source == (array, 8000)
    _, (bare,) = take_media(user({"type": "audio", "audio": array}))
    assert bare.source is array
    _, (file,) = take_media(user({"type": "audio", "audio": b"wav", "sampling_rate": 8000}))
    assert file.source == b"wav"
    with pytest.raises(RequestError, match="give input_audio with data in base64"):
        take_media(user(part), local=False)


def test_there_is_a_most() -> None:
    with pytest.raises(RequestError, match=f"65 images, more than {MOST_ITEMS}"):
        take_media(user(*[{"type": "image", "image": URL}] * 65))
    with pytest.raises(RequestError, match="2 images, more than 1"):
        take_media(user(*[{"type": "image", "image": URL}] * 2), most_images=1)


def test_what_is_no_conversation_is_left_for_others_to_refuse() -> None:
    for given in (None, "text", [7], [{"role": "user"}], [{"role": "user", "content": "text"}]):
        assert take_media(given) == (given, [])


def test_images_are_put_back_also_where_the_first_messages_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"pixels")
    first, second = {"type": "image", "image": URL}, dict(attached_file(path, "image").part)
    given = [*user(first, TEXT), {"role": "assistant", "content": "a"}, *user(TEXT, second)]
    taken, images = take_media(given)
    assert places(taken) == 2
    assert put_media(taken, images) == given
    assert put_media(taken[2:], images) == given[2:]


PARTS = (
    "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'image' %}#{% else %}{{ p.text }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize("role", ["user", "tool", "system"])
def test_templates_are_given_the_places(role: str) -> None:
    template = ChatTemplate(PARTS, named={})
    assert (
        template.render([{"role": role, "content": [{"type": "image"}, TEXT]}]) == f"<{role}>#what?"
    )


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_name_of_a_file(name: str) -> None:
    with pytest.raises(RequestError, match="is no file's name"):
        file_bytes(Path(name), "message 0")
    with pytest.raises(RequestError, match=r"the image: .* is no file's name"):
        attached_file(name, "image")


@pytest.mark.parametrize(
    "given",
    [
        {"max_edge": 0}, {"max_edge": "x"}, {"max_edge": 1.5}, {"max_num_images": None},
        {"max_num_images": True}, {"video_fps": 0}, {"video_fps": "x"}, {"video_fps": math.nan},
    ],
)  # fmt: skip
def test_options_that_cannot_be(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(RequestError, match=f"{name} should be a .*number.*, not "):
        MediaOptions(**given)


@pytest.mark.parametrize("told", [7, [7], [""], 0.5])
def test_hosts_that_cannot_be(told: Any) -> None:
    with pytest.raises(RequestError, match="fetch should be True, False or names of hosts"):
        Fetch.of(told)


def test_what_the_user_wrote_may_be_a_url_of_a_file_or_of_data(tmp_path: Path) -> None:
    path = tmp_path / "a b.png"
    path.write_bytes(b"pixels")
    named, inline = attached_file(path.as_uri(), "image"), attached_file(URL, "image")
    assert named.source == inline.source == b"pixels"
    assert named.part == inline.part == {"type": "image", "image": URL}
    assert len(inline.where) < 60
    with pytest.raises(RequestError, match="the image: this is not valid base64"):
        attached_file("data:image/png;base64,!!", "image")
