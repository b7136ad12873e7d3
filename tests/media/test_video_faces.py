"""Videos as users give them: in Python, on the command line, in a chat; and what `inspect` says."""

from __future__ import annotations

import asyncio
import base64
import http.server
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM, AsyncLLM
from tramontane.cli.chat import command
from tramontane.cli.conversation import Conversation
from tramontane.errors import RequestError
from tramontane.sampling_params import SamplingParams

from .folders import FAMILIES, TEMPLATE, write
from .test_videos import VIDEO
from .watching import moving

av = pytest.importorskip("av", reason="videos are decoded by PyAV: pip install av")
SHORT = {"max_tokens": 4, "temperature": 0.0, "ignore_eos": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watching")
    vision = FAMILIES["qwen2.5-vl"]
    write(folder, vision)
    template = TEMPLATE.replace(
        "{% if p.type != 'text' %}MARK",
        f"{{% if p.type == 'video' %}}{VIDEO}{{% elif p.type != 'text' %}}{vision.mark}",
    )
    (folder / "chat_template.jinja").write_text(template)
    size = {"size": {"shortest_edge": 4 * 28**2, "longest_edge": 6 * 28**2}}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(size))
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 40, 60, "yuv420p"
        for frame in moving(12, 40, 60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    (folder / "a.mp4").write_bytes(out.getvalue())
    return folder


@pytest.fixture(scope="module")
def llm(folder: Path) -> Iterator[LLM]:
    with LLM(folder, device="reference") as llm:
        yield llm


def ask(llm: LLM, part: dict[str, Any]) -> Any:
    return llm.chat([{"role": "user", "content": [part, {"type": "text", "text": "?"}]}], **SHORT)


def test_python_and_parts_of_the_apis(llm: LLM, folder: Path) -> None:
    data = (folder / "a.mp4").read_bytes()
    url = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
    found = [
        ask(llm, part)
        for part in (
            {"type": "video", "video": str(folder / "a.mp4")},
            {"type": "video", "video": data},
            {"type": "video_url", "video_url": {"url": url}},
            {"type": "file", "file": {"file_data": url, "filename": "a.mp4"}},
        )
    ]
    assert len({each.content for each in found}) == 1
    usage = found[0].choices[0].usage
    assert usage.video_tokens == 6 * 6  # six times two frames
    frames = {"type": "video", "video": moving(12, 40, 60), "fps": 10}
    assert ask(llm, frames).choices[0].usage.video_tokens == 36
    with pytest.raises(RequestError, match="fps is the frames a second, not 0"):
        ask(llm, frames | {"fps": 0})


def test_fewer_frames(folder: Path) -> None:
    with LLM(folder, device="reference", video_fps=4) as llm:
        found = ask(llm, {"type": "video", "video": str(folder / "a.mp4")})
        assert found.choices[0].usage.video_tokens == 2 * 6


def test_addresses(folder: Path) -> None:
    """Both faces of Python fetch by leave alone; the asynchronous one in a thread."""

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    part = {"type": "video", "video": f"http://127.0.0.1:{server.server_port}/a.mp4"}
    asked = [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]
    params = SamplingParams(**SHORT)  # type: ignore[arg-type]

    async def both() -> tuple[str, str]:
        llm = AsyncLLM(folder, device="reference", fetch="127.0.0.1")
        try:
            whole = await llm.chat(asked, params)
            parts = [chunk.text async for chunk in llm.chat(asked, params, stream=True)]
            return whole.content, "".join(parts)
        finally:
            llm.close()

    try:
        with LLM(folder, device="reference", fetch="127.0.0.1") as llm:
            expected = ask(llm, part).content
        assert asyncio.run(both()) == (expected, expected)
        with LLM(folder, device="reference") as llm, pytest.raises(RequestError, match="not fetch"):
            ask(llm, part)
    finally:
        server.shutdown()
        server.server_close()


def test_command_line(folder: Path) -> None:
    run = [sys.executable, "-m", "tramontane"]
    answer = [*run, "run", "-m", str(folder), "-i", "?", "--video", str(folder / "a.mp4"),
              "--json", "-n", "2", "--video-fps", "4", "--device", "reference"]  # fmt: skip
    told = subprocess.run(answer, capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["usage"]["video_tokens"] == 12
    inspect = [*run, "inspect", "-m", str(folder)]
    told = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
    lines = dict(line.split("  ", 1) for line in told.splitlines() if "  " in line)
    assert lines["takes"].strip() == "text, images and videos"
    assert lines["encoder"].strip() == "3 layers, 32 wide, patches of 14 x 14"
    assert lines["projector"].strip() == "visual.merger (128 x 128, 32 x 128)"
    assert lines["tokens of an image"].strip() == "448 x 448: 16, 1024 x 768: 12"
    told = subprocess.run([*inspect, "--json"], capture_output=True, text=True, check=True).stdout
    media = json.loads(told)["media"]
    assert media["tokens"]["image"] == {"448 x 448": 16, "1024 x 768": 12}
    assert media["encoders"] == {"vision_config": {"layers": 3, "hidden": 32, "patch": 14}}


def test_chat(llm: LLM, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conversation = Conversation(llm)
    params = SamplingParams(**SHORT)  # type: ignore[arg-type]
    command(f"/video {folder / 'a.mp4'}", conversation, params)
    assert "your next message is about it" in capsys.readouterr().out
    result = conversation.ask("?", params, print, conversation.attached)
    assert result.usage.video_tokens == 36
    with pytest.raises(RequestError, match="is no video of a known format"):
        command(f"/video {folder / 'tokenizer.json'}", conversation, params)
