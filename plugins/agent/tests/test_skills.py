"""Skills: listed to the model, read when asked, and nothing outside of their folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat.toolbox import Function
from tramontane.errors import RequestError, UsageError
from tramontane.toolset import ToolContext
from tramontane_plugin_agent.skills import MOST_BYTES, open_skills

HEAD = (
    "---\nname: pdf\ndescription: >\n  Read PDF files,\n  also long ones.\n---\n# How\nLike so.\n"
)


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    (folder / "pdf-reader" / "forms").mkdir(parents=True)
    (folder / "pdf-reader" / "SKILL.md").write_text(HEAD)
    (folder / "pdf-reader" / "forms" / "a.md").write_text("of forms")
    (folder / "notes").mkdir()
    (tmp_path / "secret").write_text("secret")
    return folder


def used(folder: Path, *calls: dict[str, Any]) -> tuple[Function, list[str]]:
    async def all_of_them() -> tuple[Function, list[str]]:
        context = ToolContext(conversation="a", folder=folder, options={"folder": str(folder)})
        async with open_skills(context) as session:
            (function,) = session.functions()
            return function, [await function.run(**arguments) for arguments in calls]

    return asyncio.run(all_of_them())


def test_a_skill_is_listed_and_read(skills: Path) -> None:
    function, said = used(skills, {"skill": "pdf"}, {"skill": "pdf", "file": "forms/a.md"})
    assert function.risk == "read"
    assert "- pdf: Read PDF files, also long ones." in function.tool.description
    assert said == [HEAD, "of forms"]


@pytest.mark.parametrize("file", ["../../secret", "/etc/passwd", "../notes/x", "link", "up/secret"])
def test_nothing_outside_is_read(skills: Path, file: str) -> None:
    (skills / "pdf-reader" / "link").symlink_to(skills.parent / "secret")
    (skills / "pdf-reader" / "up").symlink_to(skills.parent)
    with pytest.raises(RequestError):
        used(skills, {"skill": "pdf", "file": file})


def test_a_skill_that_is_not_there_is_named(skills: Path) -> None:
    with pytest.raises(RequestError, match=r"no skill '\.\./secret'; pdf"):
        used(skills, {"skill": "../secret"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# no head", "should begin with name"),
        ("---\nname: a\n---\n", "no description"),
        ("---\n{\n---\n", "no YAML"),
        ("---\n- a\n---\n", "should have name and description"),
        ("---\nname: a\ndescription: b\n---\n" + "x" * MOST_BYTES, "more than"),
        ("---\nname: pdf\ndescription: b\n---\n", "two skills called 'pdf'"),
        ("---\na: !!python/object/apply:os.system ['true']\n---\n", "no YAML"),
    ],
)
def test_a_skill_that_says_nothing_of_itself_is_an_error(
    skills: Path, text: str, told: str
) -> None:
    (skills / "wrong").mkdir()
    (skills / "wrong" / "SKILL.md").write_text(text)
    with pytest.raises(UsageError, match=told):
        used(skills)


def test_a_folder_without_skills_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no folders with"):
        used(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        used(tmp_path / "none")
