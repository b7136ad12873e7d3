"""A model with its tokenizer, its chat template and its engine: what both Python faces stand on."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from operator import index
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from tramontane import memory
from tramontane.adapters.adapter import Applied
from tramontane.adapters.adapter_set import AdapterSet, Asked
from tramontane.adapters.mixture import Mixture
from tramontane.adapters.prompted import PromptAdapter
from tramontane.answers import Dialect
from tramontane.blocks import MediaLM
from tramontane.chat.choose import choose_template
from tramontane.chat.fallback import no_template
from tramontane.chat.media_marks import with_marks
from tramontane.chat.media_parts import Attached, refuse_kind
from tramontane.chat.messages import has_calls
from tramontane.chat.template import ChatTemplate
from tramontane.checkpoint.checkpoint import Checkpoint, chat_templates
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions, LoadReport, Progress
from tramontane.checkpoint.next_token import HeadOf
from tramontane.checkpoint.plan import Beside
from tramontane.drafting import Draft, DraftHead, Drafts, DraftSource, OwnHead, parse_draft
from tramontane.engine.engine import Engine
from tramontane.engine.options import EngineOptions
from tramontane.engine.request import Request
from tramontane.errors import (
    NotEnoughMemory,
    RequestError,
    TramontaneError,
)
from tramontane.hub.options import HubOptions
from tramontane.media.decode import prepared
from tramontane.media.item import Media, MediaItem
from tramontane.media.options import MediaOptions
from tramontane.media.processor import by_kind, with_media
from tramontane.parallel.begin import begun, close_team, joined
from tramontane.plugin import Architecture, load
from tramontane.prepared.writing import Writing
from tramontane.registry import Registry
from tramontane.sampling_params import SamplingParams
from tramontane.system import torch_parts
from tramontane.system.background import BackgroundResult
from tramontane.system.gc_pause import gc_paused
from tramontane.tasks.queue import QueueOptions
from tramontane.tasks.running import Runs
from tramontane.tasks.task import HIDDEN, TEXT, NotInEngine, in_engine, is_embedder

from .draft_model import OpenDraft
from .encoder_file import open_with_encoder
from .fitted_options import calibrated, fitted
from .media_of import processor_of
from .read_tokenizer import read_tokenizer
from .source import DEFAULT, find_model, shown_name

Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[int]
IN_ENGINE = 16
"""Pieces of work beside text that wait for the engine at once."""
NO_ADAPTERS = "a model that several processes compute (tp) takes no adapters"
PROBE = ({"role": "user", "content": "?"},)


class LoadedModel(Runs):
    """Everything that answering takes. Raises TramontaneError of some kind when it cannot be."""

    task_only: ClassVar[Literal[False]] = False

    @gc_paused()
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
        token_ids: bool = False,
        media: MediaOptions | None = None,
        draft: str | Path = "none",
        task: str | None = TEXT,
        queue: QueueOptions | None = None,
    ) -> None:
        """token_ids: load a model without a tokenizer too, for prompts of token ids. draft: see
        `parse_draft`; instead of `EngineOptions.draft`. task: what it will be asked for; None:
        what it is for. queue: of tasks beside text. Raises NotInEngine too."""
        self.registry = registry or Registry.from_environment()
        self.name = shown_name(str(model), self.registry)
        self.media_options = media or MediaOptions()
        hub, options = hub or HubOptions(), options or LoadOptions()
        drafting = self._drafting(draft, hub, options)
        source_name, chosen = str(model), ""
        if options.quant is not None:
            drafts_take = drafting.beside.weights if isinstance(drafting, OpenDraft) else 0
            given = (source_name, hub, options, self.registry)
            source_name, options, chosen = fitted(*given, drafts_take)
        self.team = None
        path = find_model(source_name, self.registry, hub)
        if options.calibration_file is not None:
            opened = partial(type(self), path, registry=self.registry)
            options = calibrated(opened, options, options.calibration_file, progress)
        checkpoint = open_with_encoder(path, source_name, options.mmproj, self.registry, hub)
        try:
            self.header = checkpoint.header
            # what is missing altogether is told before what is wrong in detail
            offer = self.registry.get(Architecture, self.header.architecture)
            self.can(offer, task, embeds=is_embedder(path))
            if not in_engine(offer):
                raise NotInEngine
            if self.task in HIDDEN and options.kv_type == "auto":  # near the reference's numbers
                options = replace(options, kv_type="f32")
            self.defaults = dict(checkpoint.generation_defaults())
            source, for_tools = chat_templates(checkpoint)
            if chat_template is not None:
                source = choose_template(None, None, chat_template)
                for_tools = choose_template(None, None, chat_template, tools=True)
            self.template_source, self.tool_template_source = source, for_tools
            self.dialect = Dialect.of(self.registry, for_tools, tool_caller)

            vocabulary = BackgroundResult(partial(read_tokenizer, checkpoint, token_ids))

            def told(done: int, total: int) -> None:
                vocabulary.started()
                if progress is not None:
                    progress(done, total)

            if isinstance(drafting, OpenDraft):  # before anything is read
                drafting.check(self.name, vocabulary.result())
            head = None
            if isinstance(drafting, OwnHead):
                head = HeadOf(checkpoint, self.registry, options)
            self.team = begun(options, self.registry, path, source_name, hub, head=head is not None)
            options = options if self.team is None else self.team.options
            other = drafting if isinstance(drafting, OpenDraft) else head
            beside = None if other is None else other.beside
            self.loaded = self._load(
                checkpoint,
                options,
                told,
                chosen,
                beside,
                keeps_hidden=head is not None or self.task in HIDDEN,
            )
            self.loaded = joined(self.team, self.loaded)
            self.adapters = AdapterSet(
                self.loaded.model,
                self.offer,
                self.loaded.config,
                self.registry,
                self.loaded.multiply,
                self.loaded.bind,
                self.loaded.where,
            )
            self.adapters.refused = "" if self.team is None else NO_ADAPTERS
            processor = processor_of(self.offer, self.loaded.config, checkpoint)
            self.processors = by_kind(processor)
            self._take_own_adapters(checkpoint)
            if source is None and processor is not None:
                self.template_source = source = processor.template
            self.tokenizer = vocabulary.result()
            memory.give_back()
            drafts = self._draft_model(drafting, head)
        except BaseException:
            close_team(self.team)
            raise
        finally:
            checkpoint.close()
            if isinstance(drafting, OpenDraft):
                drafting.close()
        self._template = source and ChatTemplate(source, named=self.tokenizer.named)
        self._template_for_tools = self._template
        if for_tools and for_tools != source:
            self._template_for_tools = ChatTemplate(for_tools, named=self.tokenizer.named)
        if callable(engine):  # what is known once the model is there
            engine = engine(self.loaded)
        if drafts is not None:
            engine = replace(engine or EngineOptions(), draft=drafts)
        self.engine = Engine(
            self.loaded, self.tokenizer, self.registry, engine, force=options.force
        )
        self.adapters.two_passes = self.engine.forward.scaling.ready
        self.engine.warm()
        unsaved = self.loaded.unsaved
        self.open_queue(queue, running=IN_ENGINE, workers=IN_ENGINE)
        self.writing = None if unsaved is None else Writing(unsaved, self.engine.stats)

    @property
    def report(self) -> LoadReport:
        return self.loaded.report

    @property
    def most_tokens(self) -> int:
        return self.engine.context_length

    def drain(self, timeout: float) -> None:
        """Wait until nothing runs or waits."""
        self.queue.drain(timeout)
        self.engine.drain(timeout=timeout)

    def _load(
        self,
        checkpoint: Checkpoint,
        options: LoadOptions,
        told: Progress,
        chosen: str,
        beside: Beside | None,
        *,
        keeps_hidden: bool,
    ) -> Loaded:
        """Load; again where a part of torch was left out and may have been needed."""
        given = (checkpoint, self.registry, options, told, chosen, beside)
        more: Any = {"keeps_hidden": keeps_hidden, "group": self.team and self.team.group}
        try:
            loaded = load_model(*given, **more)
        except Exception:
            if not torch_parts.complete():
                raise
        else:
            as_before = loaded.report.prepared and not isinstance(loaded.model, MediaLM)
            if as_before or not torch_parts.complete():
                return loaded
        return load_model(*given, **more)

    def _drafting(
        self, text: str | Path, hub: HubOptions, options: LoadOptions
    ) -> Draft | OpenDraft | OwnHead | None:
        """What `draft` names, refused here if it cannot be, before a weight is read."""
        found = parse_draft(text, self.registry)
        if isinstance(found, DraftSource):
            return OpenDraft(found, self.registry, hub, options)
        if isinstance(found, Draft):
            found.build()
        return found

    def _draft_model(
        self, drafting: Draft | OpenDraft | OwnHead | None, head: HeadOf | None
    ) -> Drafts | None:
        """It, loaded, in the report too."""
        if isinstance(drafting, OwnHead):
            assert head is not None
            return DraftHead(head.load(self.loaded), self.loaded, drafting.most)
        if not isinstance(drafting, OpenDraft):
            return drafting
        if self.tokenizer.missing:
            drafting.check_size(self.name, self.loaded.config.vocab_size)
        found = drafting.load(self.loaded)
        report = replace(self.loaded.report, draft=found.loaded.report)
        self.loaded = replace(self.loaded, report=report)
        return found

    def _take_own_adapters(self, checkpoint: Checkpoint) -> None:
        """Raises AdapterError, CheckpointError."""
        if self.offer.adapters is not None:
            found = load(self.offer.adapters)(self.loaded.config, checkpoint)
            self.adapters.take_own(found, self.header.path)

    def applied(
        self, adapter: Asked | None, media: Media | None
    ) -> Applied | PromptAdapter | Mixture | None:
        """The adapters of a request, the checkpoint's own for its media among them. Raises
        RequestError."""
        processor = next(iter(self.processors.values()), None)
        own = None
        if media is not None and processor is not None:
            own = processor.adapter(media.kinds)
        return self.adapters.applied(adapter, own)

    def media_items(self, attached: Sequence[Attached]) -> list[MediaItem]:
        """Media of a conversation as the model's encoder takes them. Raises RequestError."""
        for each in attached:
            if each.kind not in self.processors:
                refuse_kind(each.where, each.kind, self.processors)
        options = self.media_options
        return [
            prepared(each.source, each.where, self.processors[each.kind], options)
            for each in attached
        ]

    def encode_rendered(
        self, text: str, items: Sequence[MediaItem] = ()
    ) -> tuple[tuple[int, ...], Media | None]:
        """Token ids of a rendered conversation, and its media's rows. Raises RequestError."""
        if not items:
            return tuple(self.tokenizer.encode_chat(text)), None
        return with_media(text, items, self.processors, self.tokenizer)

    def render(self, messages: Sequence[Message], **variables: Any) -> str:
        """Messages as the model's template writes them. Raises TemplateError, RequestError.

        Where `variables` has tools, or the conversation has calls, it is the template for these, if
        the model has one of its own.
        """
        if self.tokenizer.missing:  # before the template, which it may lack as well
            raise RequestError(self.tokenizer.missing)
        template = self._template_for_tools if variables.get("tools") else self._template
        if template is not self._template_for_tools and has_calls(messages):
            template = self._template_for_tools
            variables["tools"] = []  # such templates loop over tools
        if not template:
            no_template(str(self.header.path))
        if self.processors:
            messages = with_marks(messages, template, self.processors)
        return template.render(messages, **variables)

    @cached_property
    def begins_reasoning(self) -> bool:
        """Whether the model itself does, where it reasons: its template does not do it, even when
        it is asked to."""
        if self.dialect.reasoner is None:
            return False
        try:
            said = self.render(PROBE, enable_thinking=True, thinking=True)
        except TramontaneError:
            return False
        return not said.rstrip().endswith(self.dialect.reasoner.opening.rstrip())

    def special_token(self, text: str) -> int | None:
        """The id of a text that is a special token, for grammars."""
        token = self.tokenizer.inner.token_to_id(text)
        return token if token in self.tokenizer.special_ids else None

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids of plain text, or the ids themselves."""
        if isinstance(prompt, str):
            return tuple(self.tokenizer.encode(prompt))
        try:
            return tuple(map(index, prompt))
        except TypeError as error:
            raise RequestError(
                f"a prompt is a string or a list of token ids, not {reprlib.repr(prompt)}"
            ) from error

    def logits_request(self, ids: Prompt) -> Request:
        """What computes the logits of every position. Raises RequestError, NotEnoughMemory."""
        if isinstance(ids, str):
            raise RequestError("logits takes token ids; tokenize(text) returns those of a text")
        prompt = self.encode(ids)
        need, free = 4 * len(prompt) * self.loaded.config.vocab_size, memory.free()
        if need > free:
            raise NotEnoughMemory(
                f"the logits of {len(prompt)} tokens take {need} bytes (4 x tokens x vocabulary), "
                f"and {free} are free; pass fewer tokens at a time"
            )
        params = SamplingParams(max_tokens=0, temperature=0)
        return Request(prompt=prompt, params=params, prompt_logits=True)

    def encode_chat(self, messages: Sequence[Message], **variables: Any) -> tuple[int, ...]:
        """Token ids of a conversation, up to where the answer begins."""
        return tuple(self.tokenizer.encode_chat(self.render(messages, **variables)))

    def requests(
        self, prompt: tuple[int, ...], params: SamplingParams | None, **more: Any
    ) -> list[Request]:
        """A request for each answer asked for, which share the prompt; more: fields of Request."""
        wanted = (params or SamplingParams()).with_defaults(self.defaults)
        count = wanted.best_of or wanted.n
        if count > wanted.n:  # to choose the best takes their probabilities
            wanted = wanted.model_copy(update={"logprobs": True})
        found: list[Request] = []
        applied = self.applied(wanted.adapter, more.get("media"))
        for i in range(count):
            seed = None if wanted.seed is None else wanted.seed + i
            one = wanted.model_copy(update={"seed": seed})
            leader = found[0].id if found else None
            found.append(
                Request(prompt=prompt, params=one, fork_of=leader, adapters=applied, **more)
            )
        return found

    def batch(
        self, prompts: Sequence[Prompt], params: Sequence[SamplingParams | None]
    ) -> list[list[Request]]:
        """The requests of each prompt, which its text goes on from."""
        return [
            self.requests(self.encode(prompt), one, continues=True)
            for prompt, one in zip(prompts, params, strict=True)
        ]

    def close(self) -> None:
        """End the engine's thread; what runs is cancelled. Waits a few seconds for a prepared model
        that is being written."""
        if self.writing is not None:
            self.writing.close()
        self.engine.close()
        self.queue.close()
        close_team(self.team)
