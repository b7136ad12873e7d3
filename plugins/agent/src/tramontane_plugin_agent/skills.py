"""The toolset `skills`: folders with a SKILL.md, listed to the model and read when it asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from tramontane.agent import inside
from tramontane.chat.toolbox import Function, function_tool
from tramontane.errors import RequestError, UsageError
from tramontane.toolset import ToolContext

from .files import text_slice

MOST_SKILLS = 100
MOST_BYTES = 1 << 20
"""Bytes of a file of a skill."""
LONGEST_DESCRIPTION = 500
ABOUT = "SKILL.md"


@dataclass(frozen=True)
class Skill:
    """What SKILL.md says of itself. folder: its name below the folder of skills."""

    folder: str
    name: str
    description: str


@asynccontextmanager
async def open_skills(context: ToolContext) -> AsyncIterator[Skills]:
    """Raises UsageError where there are no skills."""
    given = context.options["folder"]
    if not given:
        raise UsageError("the toolset skills needs a folder: --tool-option skills.folder=PATH")
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise UsageError(f"skills.folder: there is no folder {folder}")
    found = await asyncio.to_thread(find_skills, folder)
    if not found:
        raise UsageError(f"skills.folder: {folder} has no folders with a {ABOUT}")
    yield Skills(folder, found)


class Skills:
    """The skills of one conversation."""

    def __init__(self, folder: Path, skills: Sequence[Skill]) -> None:
        self._folder, self._skills = folder, {skill.name: skill for skill in skills}

    def functions(self) -> Sequence[Function]:
        made = function_tool(self.read_skill, risk="read")
        listed = "\n".join(f"- {one.name}: {one.description}" for one in self._skills.values())
        description = f"{made.tool.description}\n\nThe skills:\n{listed}"
        return [replace(made, tool=replace(made.tool, description=description))]

    async def read_skill(self, skill: str, file: str = ABOUT, offset: int = 0) -> str:
        """Read the instructions of a skill before doing what it is for.

        skill: its name
        file: another file that its instructions refer to
        offset: the character to begin at, for a file that is longer than one call returns
        """
        found = self._skills.get(skill)
        if found is None:
            raise RequestError(f"there is no skill {skill!r:.80}; {', '.join(self._skills)}")
        name = "/".join((found.folder, *inside.parts_of(file)))
        data = await asyncio.to_thread(inside.read, self._folder, name, MOST_BYTES)
        return text_slice(file, data, offset)


def find_skills(folder: Path) -> list[Skill]:
    """The skills of a folder by their names. Raises UsageError for one that says no name."""
    found: dict[str, Skill] = {}
    for each in sorted(folder.iterdir()):
        if each.is_symlink() or not (each / ABOUT).is_file():
            continue
        skill = _read(folder, each.name)
        if skill.name in found:
            raise UsageError(f"{each}: there are two skills called {skill.name!r}")
        found[skill.name] = skill
        if len(found) > MOST_SKILLS:
            raise UsageError(f"{folder} has more than {MOST_SKILLS} skills")
    return list(found.values())


def _read(folder: Path, name: str) -> Skill:
    try:
        text = inside.read(folder, f"{name}/{ABOUT}", MOST_BYTES).decode()
    except (RequestError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder / name / ABOUT} cannot be read: {error}") from error
    about = _front_matter(text, folder / name / ABOUT)
    description = about.get("description")
    if not isinstance(description, str) or not description.strip():
        raise UsageError(f"{folder / name / ABOUT}: its head says no description")
    words = " ".join(description.split())[:LONGEST_DESCRIPTION]
    return Skill(name, str(about.get("name") or name), words)


def _front_matter(text: str, path: Path) -> dict[str, Any]:
    """What stands between two lines of --- at the beginning."""
    head, mark, _ = text.removeprefix("---\n").partition("\n---")
    if not text.startswith("---\n") or not mark:
        raise UsageError(f"{path} should begin with name and description between lines of ---")
    try:
        found = yaml.safe_load(head)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: its head is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: its head should have name and description")
    return found
