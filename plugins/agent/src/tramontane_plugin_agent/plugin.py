"""What this distribution offers."""

from collections.abc import Iterable

from tramontane.plugin import Command, Toolset, hookimpl

HERE = "tramontane_plugin_agent"
SESSIONS = "List, show, export, import, fork and remove kept sessions."


@hookimpl
def toolsets() -> Iterable[Toolset]:
    yield Toolset(
        name="search",
        summary="Search the web and read pages, at public addresses only.",
        options={
            "engine": "auto",
            "url": None,
            "key_file": None,
            "results": 5,
            "only": None,
            "block": None,
            "hosts": None,
            "embed": None,
        },
        open=f"{HERE}.search.toolset:open_search",
    )
    yield Toolset(
        name="files",
        summary="List, read and write files of the conversation, in a folder of its own.",
        options={
            "max_bytes": 64 << 20,
            "max_file_bytes": 8 << 20,
            "max_files": 256,
            "hours": 24.0,
        },
        open=f"{HERE}.files:open_files",
    )
    yield Toolset(
        name="skills",
        summary="Read instructions from a folder of skills, and nothing outside of it.",
        options={"folder": None},
        open=f"{HERE}.skills:open_skills",
    )


@hookimpl
def commands() -> Iterable[Command]:
    yield Command(name="sessions", summary=SESSIONS, run=f"{HERE}.command:run")
