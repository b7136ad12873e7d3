"""The tasks, and which of them a model can do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tramontane.errors import RequestError
from tramontane.plugin import Architecture, load

TEXT, EMBED = "text", "embed"
HIDDEN = (EMBED, "rank")
"""Tasks of hidden states, which the engine keeps for them."""
MODULES = "modules.json"
"""What sentence-transformers writes beside a model that makes vectors."""


@dataclass(frozen=True)
class Task:
    """One task. does: what its models do. face: the Python class. command: of the command line.
    routes: of the server. runner: what does it where an architecture names nothing, a target."""

    name: str
    does: str
    face: str
    command: str
    routes: tuple[str, ...]
    runner: str | None = None

    @property
    def module(self) -> str:
        """The module of `face` and of its asynchronous like."""
        return f"tramontane.tasks.{self.name}"


TASKS = {
    each.name: each
    for each in (
        Task(TEXT, "writes text", "LLM", "run", ("/v1/chat/completions", "/v1/completions")),
        Task(
            "embed", "makes vectors of texts", "Embedder", "embed", ("/v1/embeddings",),
            "tramontane.tasks.text_vectors:vectors_of",
        ),
        Task(
            "rank", "scores documents for a query", "Reranker", "rank",
            ("/v1/rerank", "/v1/score"), "tramontane.tasks.pair_scores:scores_of",
        ),
        Task(
            "transcribe", "writes down speech", "Transcriber", "transcribe",
            ("/v1/audio/transcriptions", "/v1/audio/translations"),
        ),
        Task(
            "image", "makes images", "ImageModel", "image",
            ("/v1/images/generations", "/v1/images/edits"),
        ),
        Task("speech", "speaks texts", "SpeechModel", "speak", ("/v1/audio/speech",)),
    )
}  # fmt: skip


class NotInEngine(Exception):
    """A model does not run in the engine; a `LoadedTask` loads it."""


def is_embedder(path: Path) -> bool:
    """Whether a folder says that its model is one for vectors."""
    return path.is_dir() and (path / MODULES).is_file()


def in_engine(offer: Architecture) -> bool:
    """Whether an architecture's models run in the engine, step by step."""
    from tramontane.blocks import CausalLM

    return bool(offer.model) and issubclass(load(offer.model), CausalLM)


def tasks_of(offer: Architecture, *, embeds: bool = False) -> tuple[str, ...]:
    """What models of an architecture can be asked for, first what they are for. embeds: whether a
    checkpoint says that it is one for vectors, as those of sentence-transformers do."""
    found = [offer.task, *offer.tasks]
    if offer.task == TEXT:  # hidden states are vectors too
        found = [EMBED, *found] if embeds else [*found, EMBED]
    return tuple(dict.fromkeys(found))


def refuse_task(name: str, asked: str, can: Iterable[str]) -> None:
    """Raises RequestError where a model, called `name`, cannot do what it is asked for."""
    can = tuple(can)
    if asked in can:
        return
    if asked not in TASKS:
        raise RequestError(f"there is no task {asked!r}; tasks: {', '.join(TASKS)}")
    known = [TASKS[each] for each in can if each in TASKS]
    does = " and ".join(each.does for each in known) or "does nothing that is known here"
    faces = " or ".join(f"tramontane.{each.face}" for each in known)
    commands = " or ".join(f"tramontane {each.command}" for each in known)
    raise RequestError(
        f"{name} {does}, and is no model that {TASKS[asked].does}",
        hint=f"in Python: {faces}; on the command line: {commands}",
    )


def face_of(task: str, *, waits: bool = True) -> Any:
    """The Python class of a task; waits: the one for code that waits, not the asyncio one."""
    from importlib import import_module

    if task == TEXT:
        module = import_module("tramontane.llm" if waits else "tramontane.async_llm")
        return module.LLM if waits else module.AsyncLLM
    found = TASKS[task]
    return getattr(import_module(found.module), found.face if waits else f"Async{found.face}")
