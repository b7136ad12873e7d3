"""A model's chat template: messages to the text that the model was trained to continue."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError

from tramontane.errors import TemplateError
from tramontane.sanitize import one_line

from . import calls
from .bounds import LARGEST, Budget
from .content import fit, what_it_takes
from .filters import BUDGET
from .functions import TemplateRefusal, chat_environment
from .messages import checked, plain
from .sandbox import compile_template

LARGEST_SOURCE = 1 << 20
"""Characters of a template; the largest real ones have 20,000."""


class ChatTemplate:
    """A jinja template with the functions and settings that Hugging Face's have.

    It runs in jinja's sandbox, with bounds on steps, time, and the texts that it makes (bounds.py).
    Safe to share between threads.
    """

    def __init__(
        self,
        source: str,
        *,
        named: Mapping[str, str],
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """named: variables for every rendering, such as bos_token. now: strftime_now's clock.

        Raises TemplateError, with the line, where the source is no template, or is too large.
        """
        if len(source) > LARGEST_SOURCE:
            raise TemplateError(
                f"the chat template has {len(source)} characters, over {LARGEST_SOURCE}"
            )
        self.source = source
        self.named = dict(named)
        environment = chat_environment(now)
        try:
            self.takes = what_it_takes(environment.parse(source))
            self._template = compile_template(environment, source)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"chat template, line {error.lineno}: {error.message}") from error
        except (RecursionError, MemoryError, SyntaxError) as error:
            raise TemplateError(f"the chat template is nested too deeply: {error}") from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **variables: Any,
    ) -> str:
        """The text for a chat.

        Messages are brought into one form (`checked`), and from there into the template's own:
        content as a text or as parts, null or not, and arguments of calls as texts or objects.
        variables: whatever else the template knows, such as documents, enable_thinking,
          reasoning_effort or date_string; JSON data, and stronger than the named ones.
        Raises RequestError where messages are malformed, TemplateError where the template refuses
        them (in its own words), fails, or goes over its bounds.
        """
        chat = [fit(message, self.takes) for message in checked(messages)]
        calling = any("tool_calls" in message for message in chat)
        if calling:
            takes = self._takes_calls
            chat = [one for message in chat for one in calls.fit_calls(message, takes)]
        values = {
            "documents": None,
            **self.named,
            **{name: plain(value, name) for name, value in variables.items()},
            "messages": chat,
            "tools": plain(tools, "tools"),
            "add_generation_prompt": add_generation_prompt,
        }
        try:
            return self._write(values)
        except TemplateError:
            if calling:
                calls.refuse_unread(chat, self._takes_calls)
            raise

    @cached_property
    def _takes_calls(self) -> calls.TakesCalls:
        others = {**self.named, "documents": None, "add_generation_prompt": False}
        return calls.what_it_takes(
            lambda chat, tools: self._write(
                {**others, "messages": chat, "tools": tools}, Budget(steps=calls.STEPS)
            )
        )

    def _write(self, values: dict[str, Any], budget: Budget | None = None) -> str:
        parts = []
        size = 0
        try:
            for part in self._template.generate({**values, BUDGET: budget or Budget()}):
                size += len(part)
                if size > LARGEST:
                    raise TemplateError(f"the chat template writes more than {LARGEST} characters")
                parts.append(part)
        except TemplateError:
            raise
        except TemplateRefusal as error:
            raise TemplateError(f"the chat template refuses: {one_line(error)}") from error
        except SecurityError as error:
            raise TemplateError(f"the chat template is not safe{_line(error)}: {error}") from error
        except Exception as error:  # a template can raise whatever an expression can
            what = f"{type(error).__name__}: {error}"
            raise TemplateError(f"the chat template fails{_line(error)}: {what:.300}") from error
        return "".join(parts)


def _line(error: Exception) -> str:
    """Where in the template; jinja rewrites the traceback to tell."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_code.co_filename == "<chat template>":
            return f" at line {line}"
    return ""
