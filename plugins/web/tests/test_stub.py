"""What a page does while an answer comes: tools, media, a server that goes away; with a server of
the test's own, all in TRAMONTANE_FULL=1."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Open
from .scripted import answered, last, say, shows
from .stub_server import BREAK, Stub, model, png, stub, wav

pytestmark = pytest.mark.skipif(
    os.environ.get("TRAMONTANE_FULL") != "1", reason="TRAMONTANE_FULL is not 1"
)
CALL = {"id": "c1", "name": "python", "arguments": '{"code": "6*7"}', "risk": "execute"}


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub() as found:
        yield found


def image(name: str = "a.png") -> dict[str, Any]:
    return {"name": name, "mimeType": "image/png", "buffer": png()}


def attach(page: Any, *files: dict[str, Any]) -> None:
    page.set_input_files(".composer input[type=file]", list(files))


@pytest.mark.parametrize("allow", [True, False])
def test_a_call_waits_for_approval(server: Stub, open_page: Open, allow: bool) -> None:
    server.tools = [{"name": "python", "description": "Runs code.", "approval": "ask"}]
    page = open_page(server.url)
    say(page, "What is six times seven?")
    server.say({"server_tool": {"type": "approval", **CALL, "expires_in": 300}})
    card = page.locator(".tool")
    card.get_by_text("asks for your approval").wait_for()
    assert '"code": "6*7"' in card.inner_text()
    card.get_by_role("button", name="Approve for this chat" if allow else "Deny").click()
    card.get_by_text("running" if allow else "denied").wait_for()
    assert server.bodies("/v1/agent/approvals/c1") == [{"allow": allow, "remember": allow}]
    page.wait_for_timeout(50)
    sources = [{"url": "https://example.org/", "title": "A"}, {"url": "javascript:x", "title": "B"}]
    server.say(
        {"server_tool": {"type": "started", **CALL}},
        {"server_tool": {"type": "finished", **CALL, "result": "42", "citations": sources}},
        "It is 42.",
        {"server_tool_calls": [{"name": "python", "arguments": "{}", "result": "42"}]},
    )
    server.end()
    answered(page)
    assert page.locator(".tool").count() == 1
    assert card.locator(".state").inner_text() == ("done" if allow else "denied")
    links = last(page).locator(".sources a")
    assert links.evaluate_all("all => all.map(one => one.href)") == ["https://example.org/"]
    (asked,) = server.bodies("/v1/chat/completions")
    assert asked["tool_approvals"] is True
    assert asked["session_id"] in page.url


def test_a_text_is_shown_as_it_comes(server: Stub, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Slowly")
    server.say({"reasoning_content": "Let me *think*."})
    page.locator("summary", has_text="Thinking").wait_for()
    server.say("# Head\n\nfirst **bo")
    page.locator(".prose h1").wait_for()
    assert page.get_by_role("button", name="Stop").is_visible()
    server.say("ld** text\n\n```python\nx = 1")
    page.locator(".code-block").wait_for()
    server.say("\n```\n\ndone")
    server.end()
    answered(page)
    assert last(page).locator("strong").inner_text() == "bold"
    assert last(page).locator(".hljs-number").inner_text() == "1"


def test_a_chat_goes_on_while_another_is_looked_at(server: Stub, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "First")
    server.say("part one")
    shows(page, "part one")
    page.get_by_role("button", name="New chat").first.click()
    server.say(", part two")
    page.get_by_role("link", name="First").click()
    shows(page, "part one, part two")
    server.end()
    answered(page)


def test_a_chat_that_is_removed_while_it_is_answered_stays_away(
    server: Stub, open_page: Open
) -> None:
    page = open_page(server.url)
    say(page, "First")
    server.say("begun")
    shows(page, "begun")
    page.get_by_role("button", name="Menu of First").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("heading", name="What shall we talk about?").wait_for()
    server.end()
    page.reload()
    page.get_by_text("No chats yet.").wait_for()


def test_a_server_that_goes_away_and_comes_back(open_page: Open) -> None:
    with stub() as first:
        page = open_page(first.url)
        say(page, "Before")
        first.say("begun")
        shows(page, "begun")
        port = int(first.url.rpartition(":")[2])
        first.pieces.put(BREAK)
    page.get_by_text("The connection broke off").wait_for()
    page.get_by_text("The server does not answer. Trying again").wait_for()
    say(page, "While it is away")
    page.get_by_text("Waiting for the server to come back").wait_for()
    with stub(port) as second:
        page.locator(".banner").wait_for(state="hidden")
        second.say("I am back.")
        second.end()
        shows(page, "I am back.")
        (asked,) = second.bodies("/v1/chat/completions")
        assert asked["messages"][-1]["content"] == "While it is away"


def test_media_go_to_models_that_take_them(server: Stub, open_page: Open) -> None:
    server.models = [model("blind"), model("seeing", "text", "image", "audio")]
    page = open_page(server.url)
    attach(page, image())
    page.get_by_text("blind takes no pictures.").wait_for()
    page.get_by_role("combobox", name="Model").select_option("seeing")
    sound = {"name": "b.wav", "mimeType": "audio/wav", "buffer": wav()}
    text = {"name": "c.py", "mimeType": "text/x-python", "buffer": b"print('```')\n"}
    odd = {"name": "d.bin", "mimeType": "", "buffer": b"\0\xff"}
    attach(page, image(), sound, text, odd)
    page.get_by_text("d.bin is no picture, no sound and no text.").wait_for()
    assert page.locator(".chips li").count() == 3
    page.get_by_role("combobox", name="Model").select_option("blind")
    say(page, "What is it?")
    assert server.asked == []
    page.get_by_role("combobox", name="Model").select_option("seeing")
    say(page, "What is it?")
    server.say("A square.")
    server.end()
    answered(page)
    (asked,) = server.bodies("/v1/chat/completions")
    parts = {part["type"]: part for part in asked["messages"][0]["content"]}
    assert parts["image_url"]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert parts["input_audio"]["input_audio"]["format"] == "wav"
    assert parts["text"]["text"] == "c.py:\n````\nprint('```')\n````\n\nWhat is it?"
    page.reload()
    page.locator("audio").wait_for()
    assert page.locator(".message.user img").evaluate("one => one.naturalWidth") == 64


def test_sound_is_recorded(server: Stub, open_page: Open) -> None:
    server.models = [
        model("deaf"),
        model("hearing", "text", "audio"),
        model("writer", "transcribe"),
    ]
    page = open_page(server.url, permissions=["microphone"])
    for chosen in ("deaf", "hearing"):
        page.get_by_role("combobox", name="Model").select_option(chosen)
        page.get_by_role("button", name="Record sound").click()
        page.wait_for_timeout(600)
        page.get_by_role("button", name="Stop recording").click()
        if chosen == "deaf":
            box = page.get_by_role("textbox", name="Message")
            page.wait_for_function("() => document.querySelector('.composer textarea').value")
            assert box.input_value() == "what was said"
        else:
            page.locator(".chips li", has_text="Recording.wav").wait_for()
    (asked,) = server.bodies("/v1/audio/transcriptions")
    assert b"RIFF" in asked


def test_pictures_and_speech_are_made(server: Stub, open_page: Open) -> None:
    server.models = [model("writer"), model("painter", "image"), model("speaker", "speech")]
    page = open_page(server.url)
    page.get_by_role("combobox", name="Model").select_option("painter")
    page.get_by_role("heading", name="What shall be drawn?").wait_for()
    say(page, "A teal square")
    picture = page.get_by_role("img", name="The picture that the model made")
    picture.wait_for()
    assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") == 64
    page.get_by_role("combobox", name="Model").select_option("speaker")
    say(page, "Hello")
    page.locator(".message.assistant audio").wait_for()
    (drawn,), (spoken,) = map(server.bodies, ("/v1/images/generations", "/v1/audio/speech"))
    assert (drawn["model"], drawn["prompt"], drawn["size"]) == ("painter", "A teal square", "auto")
    assert (spoken["model"], spoken["input"]) == ("speaker", "Hello")
    page.get_by_role("combobox", name="Model").select_option("writer")
    say(page, "Write")
    server.say("Words.")
    server.end()
    answered(page, 3)
    page.get_by_role("button", name="Read aloud").last.click()
    page.wait_for_function(f"() => {SPEECHES} === 2")


def test_a_chat_of_two_thousand_messages_is_drawn_where_it_is_seen(
    server: Stub, open_page: Open
) -> None:
    page = open_page(server.url)
    page.evaluate(MANY, 2000)
    page.reload()
    page.get_by_role("link", name="Many").click()
    page.locator(".message").last.wait_for()
    page.wait_for_timeout(300)
    for place in (0.7, 0.2, 0.5, 0, 1):
        page.evaluate("at => document.querySelector('main').scrollTo(0, at * 1e7)", place)
        page.wait_for_timeout(150)
    say(page, "One more")
    for _ in range(30):
        server.say("word ")
        page.wait_for_timeout(10)
    server.end()
    page.wait_for_function("() => document.querySelectorAll('.message').length === 2002")
    page.wait_for_function("() => !document.querySelector('[data-writing]')")
    # what was near is whole, the rest are shells; measure.py has the times
    assert 10 < page.locator(".message-body").count() < 400


SPEECHES = (
    "performance.getEntriesByType('resource').filter(one => one.name.endsWith('speech')).length"
)
MANY = """count => new Promise((resolve, reject) => {
    const open = indexedDB.open("tramontane");
    open.onsuccess = () => {
        const change = open.result.transaction(["chats", "messages"], "readwrite");
        const settings = JSON.parse('{"system":"","temperature":null,"top_p":null,"top_k":null,' +
            '"min_p":null,"repetition_penalty":null,"max_tokens":null,"seed":null,' +
            '"reasoning_effort":"","schema":"","image_size":"auto","voice":""}');
        let parent = null;
        for (let at = 0; at < count; at++) {
            const id = `m${at}`, role = at % 2 ? "assistant" : "user";
            const text = at % 2 ? `**Answer** ${at} with \\`code\\`.\\n\\n| a | b |\\n|--|--|\\n| 1 | ${at} |` +
                `\\n\\n\\`\\`\\`python\\nfor x in range(${at}):\\n    print(x)\\n\\`\\`\\`\\n\\nand $x^${at}$.` : `Question ${at}`;
            change.objectStore("messages").put({id, chat: "many", parent, role, text, created: at, end: "done"});
            parent = id;
        }
        change.objectStore("chats").put({id: "many", title: "Many", named: true, created: 0,
            updated: Date.now(), leaf: parent, model: "", settings});
        change.oncomplete = resolve;
        change.onerror = reject;
    };
})"""  # noqa: E501
