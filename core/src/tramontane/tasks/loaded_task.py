"""A loaded model that does not run in the engine: its parts, its queue, and what does its task."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

from tramontane import memory
from tramontane.checkpoint.checkpoint import Checkpoint, HasParts, HasProcessor
from tramontane.checkpoint.load_options import LoadOptions, LoadReport, Progress
from tramontane.checkpoint.load_parts import WHOLE, LoadedPart, load_parts, parts_of, report_of
from tramontane.checkpoint.parts import part_config
from tramontane.config import read_config
from tramontane.errors import ConfigError, NoTokenizer
from tramontane.hub.options import HubOptions
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.system.gc_pause import gc_paused
from tramontane.tokenizer.files import from_folder
from tramontane.tokenizer.tokenizer import Tokenizer

from .queue import QueueOptions
from .running import Runs
from .task import HIDDEN

IN_TURNS = 8
"""Requests for texts that take turns: a short one does not wait for the end of a long one."""


class LoadedTask(Runs):
    """What an architecture's `tasks` targets are given. name: for people. path: its folder or file.
    config: the whole's, validated. parts: its loaded parts by name, of a model without parts one,
    named "". processor: the content of its `preprocessor_config.json`."""

    task_only: ClassVar[Literal[True]] = True

    @gc_paused()
    def __init__(
        self,
        checkpoint: Checkpoint,
        name: str,
        registry: Registry,
        *,
        hub: HubOptions | None = None,
        task: str | None = None,
        options: LoadOptions | None = None,
        queue: QueueOptions | None = None,
        progress: Progress | None = None,
    ) -> None:
        """checkpoint: stays open only while this loads. task: what it will be asked for.

        Raises as `load_parts`, RequestError for a task that it cannot do."""
        self.name, self.registry = name, registry
        self.options, self.hub = options or LoadOptions(), hub or HubOptions()
        self.header = checkpoint.header
        self.path = Path(self.header.path)
        self.can(registry.get(Architecture, self.header.architecture), task)
        checkpoints = parts_of(checkpoint, registry, self.hub, self.options.parts)
        own = checkpoint.parts.values() if isinstance(checkpoint, HasParts) else ()
        try:
            self.parts: dict[str, LoadedPart] = load_parts(
                checkpoints, registry, self.options, progress
            )
            self._tokenizers: dict[str, Tokenizer] = {}
            for part, each in checkpoints.items():
                with suppress(NoTokenizer):
                    self._tokenizers[part] = each.tokenizer()
            self._from_folders()
        finally:
            for each in checkpoints.values():
                if each is not checkpoint and each not in own:
                    each.close()
        self.processor: Mapping[str, Any] = (
            checkpoint.processor() if isinstance(checkpoint, HasProcessor) else {}
        )
        self.config = self.parts[WHOLE].config if WHOLE in self.parts else self._whole_config()
        self.report: LoadReport = report_of(
            self.path, self.header.architecture, self.task, self.parts
        )
        registry.tell("model_loaded", report=self.report)
        memory.give_back()
        # one backend prepared all parts: what one runs in is good for all
        around = next(each.around for each in self.parts.values())
        running = IN_TURNS if self.task in HIDDEN else 1
        self.open_queue(queue, around, running=running)

    @property
    def model(self) -> Any:
        """The module of a model without parts."""
        return self.parts[WHOLE].model

    @property
    def most_tokens(self) -> int | None:
        found = (
            getattr(self.parts[WHOLE].model, "max_tokens", None) if WHOLE in self.parts else None
        )
        return None if found is None else int(found)

    def default_runner(self) -> Any:
        return self.model

    def tokenizer(self, part: str = WHOLE) -> Tokenizer:
        """A part's tokenizer, or one in a folder of its own, by the folder's name ("tokenizer_2").
        Raises NoTokenizer."""
        if part not in self._tokenizers:
            raise NoTokenizer(f"{self.path}: there is no tokenizer of {part or 'the model'}")
        return self._tokenizers[part]

    def _from_folders(self) -> None:
        """Tokenizers that lie in folders of their own beside the parts, by the folders' names."""
        if set(self.parts) == {WHOLE} or not self.path.is_dir():
            return
        for folder in sorted(self.path.glob("tokenizer*")):
            if folder.is_dir():
                self._tokenizers[folder.name] = from_folder(folder)

    def part_config(self, name: str) -> Mapping[str, Any]:
        """The content of a subfolder's `..._config.json`, of parts without weights too (a
        scheduler's, say); empty where there is none."""
        return part_config(self.path / name)

    def drain(self, timeout: float) -> bool:
        """Wait until nothing runs or waits; whether that is so."""
        return self.queue.drain(timeout)

    def close(self) -> None:
        """Cancel what runs, and end the queue's thread."""
        self.queue.close()

    def _whole_config(self) -> Any:
        try:
            return read_config(load(self.offer.config), self.header.config)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {self.offer.name}: {error}") from error
