"""Videos to frames: files of several formats, arrays, what is refused, and what is kept."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tramontane.errors import RequestError
from tramontane.media import video
from tramontane.media.decode import prepared
from tramontane.media.item import MediaItem
from tramontane.media.options import MediaOptions
from tramontane.media.processor import Frames, Given, MediaProcessor, Pixels
from tramontane.media.resize import resized

pytest.importorskip("PIL", reason="frames of Python's are Pillow's to read: pip install pillow")


class Every(MediaProcessor):
    """Takes every third frame, or as many as are wanted, at 16 x 8 at most."""

    kind = "video"
    mark = row = "<v>"
    given: Frames

    def chosen(self, count: int, rate: float, fps: float | None = None) -> Sequence[int]:
        if count == 7:
            raise ValueError("7 frames are not liked")
        return range(0, count, 3 if fps is None else round(rate / fps))

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        return min(height, 8), min(width, 16)

    def frame(self, pixels: Pixels, height: int, width: int) -> Pixels:
        return resized(pixels, height, width, "bicubic")

    def prepare(self, frames: Frames) -> MediaItem:
        self.given = frames
        return MediaItem("video", {"pixels": frames.pixels}, 1)


def given(source: Any, **options: Any) -> Frames:
    processor = Every()
    prepared(source, "the video", processor, MediaOptions(**options))
    return processor.given


def shades(count: int, height: int = 32, width: int = 48) -> Any:
    """Frame i is grey, 20 * i."""
    levels = (20 * np.arange(count) % 256).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3))


def file_of(frames: Any, form: str = "mp4", codec: str = "mpeg4", rate: int = 10) -> bytes:
    av = pytest.importorskip("av", reason="videos are decoded by PyAV: pip install av")
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p" if codec != "gif" else "rgb8"
        for frame in frames:
            made = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            for packet in stream.encode(made):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return out.getvalue()


def levels(frames: Frames) -> list[int]:
    return [round(float(frame.mean()) / 20) for frame in frames.pixels]


@pytest.mark.parametrize(
    ("form", "codec"),
    [("mp4", "mpeg4"), ("matroska", "mpeg4"), ("avi", "mpeg4"), ("mpegts", "mpeg2video"),
     ("webm", "libvpx"), ("mov", "mpeg4"), ("gif", "gif")],
)  # fmt: skip
def test_files(form: str, codec: str) -> None:
    rate = 25 if form == "mpegts" else 10
    found = given(file_of(shades(11), form, codec, rate))
    assert found.indices == [0, 3, 6, 9]
    assert levels(found) == [0, 3, 6, 9]
    assert found.pixels.shape == (4, 8, 16, 3)
    assert (found.size, found.total) == ((32, 48), 11)
    assert found.rate == pytest.approx(rate)
    assert found.sampled == pytest.approx(rate * 4 / 11)


def test_as_users_have_them(tmp_path: Path) -> None:
    data = file_of(shades(5))
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    url = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
    for source in (path, str(path), url, bytearray(data)):
        assert levels(given(source)) == [0, 3]


def test_frames_of_python() -> None:
    from PIL import Image

    frames = shades(5)
    found = given(Given(frames, 4))
    assert (levels(found), found.rate) == ([0, 3], 4.0)
    for source in (frames, list(frames), [Image.fromarray(frame) for frame in frames]):
        found = given(source)
        assert (levels(found), found.rate, found.indices) == ([0, 3], 24.0, [0, 3])


def test_a_wish_for_fewer_frames_and_smaller_ones() -> None:
    assert given(Given(shades(12), 12.0), video_fps=2).indices == [0, 6]
    found = given(Given(shades(12), 12.0), max_edge=6)
    assert found.size == (4, 6)
    assert found.pixels.shape[1:3] == (4, 6)


def test_a_video_that_was_turned() -> None:
    av = pytest.importorskip("av", reason="videos are decoded by PyAV: pip install av")
    frames = np.zeros((4, 32, 48, 3), np.uint8)
    frames[:, :16] = 255  # bright above
    data = bytearray(file_of(frames))
    matrix = data.index(b"tkhd") + 44
    turn = [0, 1 << 16, 0, -(1 << 16) & 0xFFFFFFFF, 0, 0]  # by 90 degrees, clockwise
    for place, value in enumerate(turn):
        data[matrix + 4 * place : matrix + 4 * place + 4] = value.to_bytes(4, "big")
    with av.open(io.BytesIO(bytes(data))) as container:
        frame = next(container.decode(video=0))
    if not hasattr(frame, "rotation"):
        pytest.skip("this PyAV does not tell how a frame is turned")
    found = given(bytes(data))
    assert found.size == (48, 32)
    assert found.pixels[0][:, -4:].mean() > 200 > 50 > found.pixels[0][:, :4].mean()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"no video", "is no video of a known format, or damaged"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "is no video of a known format"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "is no video of a known format"),
        ([], "a video is a path, bytes"),
        (7, "a video is a path, bytes"),
        (np.zeros((2, 4, 4), np.float32), "an array should be uint8"),
        (Given(shades(3), 0), "fps is the frames a second, not 0"),
        (Given(shades(3), "x"), "fps is the frames a second, not 'x'"),
        (Given(shades(7)), "the video: 7 frames are not liked"),
        ([shades(1)[0], shades(1)[0], shades(1)[0], shades(1, 8, 8)[0]], "frame 3 has 8 x 8"),
        ("/nowhere/a.mp4", "cannot read /nowhere/a.mp4"),
    ],
)
def test_refused(source: Any, said: str) -> None:
    if isinstance(source, bytes):
        pytest.importorskip("av", reason="videos are decoded by PyAV: pip install av")
    with pytest.raises(RequestError, match=said):
        given(source)


def test_only_sound_and_cut_files() -> None:
    data = file_of(shades(30), "matroska")
    assert levels(given(data[: len(data) * 2 // 3]))[:3] == [0, 3, 6]
    with pytest.raises(RequestError, match="the video is"):
        given(data[:300])


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MOST_SECONDS", 1, "has 30 frames, 3 seconds: more than 1 seconds"),
        ("MOST_FRAMES", 20, "has 30 frames"),
        ("MOST_PIXELS", 100, "has 48 x 32 pixels: more than 100"),
        ("MOST_CHOSEN", 1000, "10 frames of 16 x 8 pixels are more than 1,000 pixels together"),
        ("MOST_BYTES", 100, "more than 0 MiB"),
    ],
)
def test_limits_are_known_before_decoding(
    limit: str, value: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = file_of(shades(30))
    monkeypatch.setattr(video, limit, value)
    monkeypatch.setattr(video, "_frames", None)
    with pytest.raises(RequestError, match=said):
        given(data)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(RequestError, match="not installed: pip install av"):
        given(b"a video")
