"""A model with its tokenizer, chat template and engine: the base of both Python APIs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from . import memory
from .answers import Dialect
from .beside import BackgroundResult
from .chat.choose import choose_template
from .chat.fallback import no_template
from .chat.messages import has_calls
from .chat.template import ChatTemplate
from .checkpoint.checkpoint import chat_templates
from .checkpoint.load import Loaded, LoadOptions, Progress, load_model
from .checkpoint.open import open_checkpoint
from .engine.engine import Engine
from .engine.options import EngineOptions
from .engine.request import Request
from .errors import RequestError, TramontaneError
from .plugin import Architecture
from .registry import Registry
from .sampling_params import SamplingParams
from .source import DEFAULT, HubOptions, find_model
from .uncollected import uncollected

Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[int]
PROBE = ({"role": "user", "content": "?"},)


class LoadedModel:
    """All parts that generate answers. Raises a subclass of TramontaneError if loading fails."""

    @uncollected()
    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        hub: HubOptions | None = None,
        options: LoadOptions | None = None,
        chat_template: Path | None = None,
        engine: EngineOptions | Callable[[Loaded], EngineOptions] | None = None,
        registry: Registry | None = None,
        progress: Progress | None = None,
        tool_caller: str | None = None,
    ) -> None:
        self.registry = registry or Registry.from_environment()
        path = find_model(str(model), self.registry, hub or HubOptions())
        checkpoint = open_checkpoint(path, self.registry)
        try:
            self.header = checkpoint.header
            # report an unsupported architecture before errors in details
            self.registry.get(Architecture, self.header.architecture)
            self.defaults = dict(checkpoint.generation_defaults())
            source, for_tools = chat_templates(checkpoint)
            if chat_template is not None:
                source = choose_template(None, None, chat_template)
                for_tools = choose_template(None, None, chat_template, tools=True)
            self.template_source, self.tool_template_source = source, for_tools
            self.dialect = Dialect.of(self.registry, for_tools, tool_caller)

            vocabulary = BackgroundResult(checkpoint.tokenizer)

            def report(done: int, total: int) -> None:
                vocabulary.started()
                if progress is not None:
                    progress(done, total)

            self.loaded = load_model(checkpoint, self.registry, options or LoadOptions(), report)
            self.tokenizer = vocabulary.result()
            memory.give_back()
        finally:
            checkpoint.close()
        self._template = source and ChatTemplate(source, named=self.tokenizer.named)
        self._template_for_tools = self._template
        if for_tools and for_tools != source:
            self._template_for_tools = ChatTemplate(for_tools, named=self.tokenizer.named)
        if callable(engine):  # options that depend on the loaded model
            engine = engine(self.loaded)
        force = options is not None and options.force
        self.engine = Engine(self.loaded, self.tokenizer, self.registry, engine, force=force)
        self.engine.warm()

    def render(self, messages: Sequence[Message], **variables: Any) -> str:
        """Render messages with the model's chat template. Raises TemplateError, RequestError.

        If `variables` has tools, or the conversation has tool calls, the model's separate template
        for tools is used, if it has one.
        """
        template = self._template_for_tools if variables.get("tools") else self._template
        if template is not self._template_for_tools and has_calls(messages):
            template = self._template_for_tools
            variables["tools"] = []  # such templates loop over tools
        if not template:
            no_template(str(self.header.path))
        return template.render(messages, **variables)

    @cached_property
    def begins_reasoning(self) -> bool:
        """Whether the model generates the opening mark of reasoning itself, because its template
        does not write it, even with thinking enabled."""
        if self.dialect.reasoner is None:
            return False
        try:
            prompt = self.render(PROBE, enable_thinking=True, thinking=True)
        except TramontaneError:
            return False
        return not prompt.rstrip().endswith(self.dialect.reasoner.opening.rstrip())

    def special_token(self, text: str) -> int | None:
        """The id of a special token with this text, or None; for grammars."""
        token = self.tokenizer.inner.token_to_id(text)
        return token if token in self.tokenizer.special_ids else None

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids of a text; token ids are returned unchanged."""
        if isinstance(prompt, str):
            return tuple(self.tokenizer.encode(prompt))
        if not all(isinstance(token, int) for token in prompt):
            raise RequestError("a prompt is a string or a list of token ids")
        return tuple(prompt)

    def encode_chat(self, messages: Sequence[Message], **variables: Any) -> tuple[int, ...]:
        """Token ids of a rendered conversation, including the generation prompt."""
        return tuple(self.tokenizer.encode_chat(self.render(messages, **variables)))

    def requests(
        self, prompt: tuple[int, ...], params: SamplingParams | None, **more: Any
    ) -> list[Request]:
        """One request for each of the `n` answers, sharing the prompt; more: fields of Request."""
        wanted = (params or SamplingParams()).with_defaults(self.defaults)
        count = wanted.best_of or wanted.n
        if count > wanted.n:  # choosing the best needs their probabilities
            wanted = wanted.model_copy(update={"logprobs": True})
        requests: list[Request] = []
        for i in range(count):
            seed = None if wanted.seed is None else wanted.seed + i
            one = wanted.model_copy(update={"seed": seed})
            leader = requests[0].id if requests else None
            requests.append(Request(prompt=prompt, params=one, fork_of=leader, **more))
        return requests

    def close(self) -> None:
        """Stop the engine's thread; running requests are cancelled."""
        self.engine.close()
