"""What loaded models of all kinds have in common: the tasks that they can do, and a queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

from tramontane.plugin import Architecture, load

from .queue import QueueOptions, WorkQueue
from .task import TASKS, refuse_task, tasks_of


class Runs:
    """task: what it is for, or was opened for; tasks: what it can do; offer: its architecture's."""

    name: str
    offer: Architecture
    task: str
    tasks: tuple[str, ...]
    task_only: ClassVar[bool]
    """Whether it has no engine."""
    queue: WorkQueue
    """The work of all tasks beside text."""
    _runners: dict[str, Any]

    def can(self, offer: Architecture, task: str | None, *, embeds: bool = False) -> None:
        """Take over what models of an architecture can do. task: what it is to be asked for; None:
        what they are for. embeds: see `tasks_of`. Raises RequestError where they cannot."""
        self.offer, self.tasks = offer, tasks_of(offer, embeds=embeds)
        self.task = self.tasks[0] if task is None else task
        refuse_task(self.name, self.task, self.tasks)

    def open_queue(
        self,
        options: QueueOptions | None,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        *,
        running: int = 1,
        workers: int = 1,
    ) -> None:
        """Be ready for work. running, workers: where the options do not say."""
        options = options or QueueOptions()
        options = replace(
            options, running=options.running or running, workers=options.workers or workers
        )
        self.queue, self._runners = WorkQueue(self.name, options, around), {}
        self._making = threading.RLock()

    def runner(self, task: str) -> Any:
        """What does a task beside text: see `Architecture.tasks`. Raises RequestError where the
        model cannot."""
        refuse_task(self.name, task, self.tasks)
        with self._making:
            if task not in self._runners:
                target = self.offer.tasks.get(task) or TASKS[task].runner
                self._runners[task] = load(target)(self) if target else self.default_runner()
            return self._runners[task]

    @property
    def most_tokens(self) -> int | None:
        """The longest text, in tokens; None: there is no such number."""
        return None

    def default_runner(self) -> Any:
        """What does a task for which nothing is named."""
        raise NotImplementedError
