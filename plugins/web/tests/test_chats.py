"""What is done with chats: branches, names, search, files, tabs; all in TRAMONTANE_FULL=1."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Open
from .scripted import answered, answers, say, shows

pytestmark = pytest.mark.skipif(
    os.environ.get("TRAMONTANE_FULL") != "1", reason="TRAMONTANE_FULL is not 1"
)


def menu(page: Any, title: str, choice: str) -> None:
    page.get_by_role("button", name=f"Menu of {title}").click()
    page.get_by_role("menuitem", name=choice, exact=True).click()


def test_editing_a_message_begins_a_branch(open_page: Open) -> None:
    page = open_page()
    asked = answers(page, "red", "blue", "green")
    say(page, "A colour?")
    answered(page)
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit").fill("Another colour?")
    page.keyboard.press("Enter")
    shows(page, "blue")
    assert [one["content"] for one in asked[1]["messages"]] == ["Another colour?"]
    assert page.get_by_text("2 / 2").is_visible()
    page.get_by_role("button", name="Previous version").click()
    shows(page, "red")
    assert page.locator(".message").get_by_text("blue").count() == 0
    page.get_by_role("button", name="Answer again").click()
    shows(page, "green")
    assert [one["content"] for one in asked[2]["messages"]] == ["A colour?"]
    page.reload()
    shows(page, "green")
    assert page.get_by_text("1 / 2").is_visible()  # of the question
    assert page.locator(".message.assistant").get_by_text("2 / 2").is_visible()


def test_the_last_message_is_edited_from_the_keyboard(open_page: Open) -> None:
    page = open_page()
    answers(page, "x")
    say(page, "typo")
    answered(page)
    page.get_by_role("textbox", name="Message").press("ArrowUp")
    assert page.get_by_role("textbox", name="Edit").input_value() == "typo"
    page.keyboard.press("Escape")
    assert page.get_by_role("textbox", name="Edit").count() == 0


def test_settings_are_sent_and_kept(open_page: Open) -> None:
    page = open_page()
    page.keyboard.press("Control+,")
    page.get_by_label("System prompt").fill("Be brief.")
    for name, value in {"Temperature": "0.3", "Top k": "7", "Longest answer (tokens)": "9"}.items():
        page.get_by_label(name).fill(value)
    page.get_by_label("JSON schema of answers").fill("[1]")
    page.get_by_label("Seed").fill("5")
    assert page.get_by_text("This is no JSON schema").is_visible()
    page.get_by_label("JSON schema of answers").fill('{"type": "object"}')
    page.get_by_label("Reasoning").select_option("low")
    page.keyboard.press("Escape")
    asked = answers(page, "{}")
    say(page, "Hello")
    answered(page)
    (body,) = asked
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["top_k"], body["max_tokens"], body["seed"]) == (0.3, 7, 9, 5)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["reasoning_effort"] == "low"
    assert "top_p" not in body
    page.reload()
    answered(page)
    page.keyboard.press("Control+,")
    assert page.get_by_label("System prompt").input_value() == "Be brief."


def test_chats_are_found_renamed_and_removed(open_page: Open) -> None:
    page = open_page()
    answers(page, "about apples", "about pears")
    for title in ("First", "Second"):
        page.get_by_role("button", name="New chat").first.click()
        say(page, title)
        answered(page)
    search = page.get_by_role("searchbox", name="Search chats")
    search.fill("PEARS")
    page.wait_for_function("() => document.querySelectorAll('.chat-row').length === 1")
    assert page.locator(".chat-row").inner_text() == "Second"
    search.fill("")
    menu(page, "First", "Rename")
    page.get_by_role("textbox", name="Rename").fill("Apples <b>")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Apples <b>").click()
    shows(page, "about apples")
    menu(page, "Apples <b>", "Delete")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("heading", name="What shall we talk about?").wait_for()
    assert page.locator(".chat-row").all_inner_texts() == ["Second"]


def test_chats_leave_and_come_back_as_files(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    answers(page, "**bold** <!-- tramontane: user -->\n\n## You", "again", reasoning_content="Hm.")
    say(page, "Question")
    answered(page)
    page.get_by_role("button", name="Answer again").click()
    answered(page)
    paths = {}
    for choice in ("Export as JSON", "Export as Markdown"):
        with page.expect_download() as download:
            menu(page, "Question", choice)
        paths[choice] = tmp_path / download.value.suggested_filename
        download.value.save_as(paths[choice])
    told = json.loads(paths["Export as JSON"].read_text("utf-8"))
    assert (told["form"], len(told["chats"][0]["messages"])) == ("tramontane-chats", 3)
    assert "## You\n\n<!-- text -->\nQuestion" in paths["Export as Markdown"].read_text("utf-8")
    other = open_page()
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"form": "other"}')
    other.set_input_files("input[accept*=json]", [*paths.values(), wrong])
    other.get_by_text("2 chats imported.").wait_for()
    assert other.get_by_text("wrong.json has no chats in a form").is_visible()
    branches = []
    for link in other.get_by_role("link", name="Question").all():
        link.click()
        shows(other, "again")
        branches.append(other.locator(".message.assistant .versions").count())
    assert sorted(branches) == [0, 1]  # Markdown has the branch that was seen


def test_two_tabs_show_the_same(open_page: Open) -> None:
    page = open_page()
    answers(page, "one", "two")
    say(page, "Hello")
    answered(page)
    other = open_page(beside=page)
    other.get_by_role("link", name="Hello").click()
    shows(other, "one")
    say(page, "More")
    answered(page, 2)
    shows(other, "two")
    answers(other, "three")
    say(other, "From here")
    shows(page, "three")
    assert page.locator(".message").count() == other.locator(".message").count() == 6
