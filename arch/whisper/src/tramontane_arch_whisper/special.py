"""The tokens by which Whisper is told what to do, and what its configuration forbids."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tramontane.errors import ConfigError, RequestError
from tramontane.tokenizer.tokenizer import Tokenizer

from .languages import LANGUAGES, code_of

MOST_SUPPRESSED = 1 << 16


@dataclass(frozen=True)
class SpecialTokens:
    """start, end: of a transcript. languages: by code; empty in a model of English alone, as
    `tasks` is. no_timestamps: says that there are none; the next id is the first timestamp.
    previous: begins what came before. no_speech: its probability at the start is that of silence.
    suppressed, suppressed_first: never written; not at the beginning. latest_first: the first
    timestamp is at most so many steps from the window's start; None: anywhere."""

    start: int
    end: int
    languages: Mapping[str, int]
    tasks: Mapping[str, int]
    no_timestamps: int
    previous: int | None
    no_speech: int
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    latest_first: int | None = None

    @property
    def first_timestamp(self) -> int:
        return self.no_timestamps + 1

    @classmethod
    def of(cls, told: Mapping[str, Any], tokenizer: Tokenizer, vocabulary: int) -> "SpecialTokens":
        """told: of generation_config.json, and of config.json below it. What neither says, the
        tokenizer's tokens do. vocabulary: number of tokens.

        Raises ConfigError for ids that cannot be, and where no source has one that is needed.
        """
        read = _Reader(told, tokenizer, vocabulary)
        english = told.get("is_multilingual") is False
        stamps = read.one("no_timestamps_token_id", "<|notimestamps|>")
        suppressed = read.several("suppress_tokens")
        previous = read.found("prev_sot_token_id", "<|startofprev|>")
        if previous is None and len(suppressed) > 1:
            previous = suppressed[-2]
        return cls(
            start=read.one("decoder_start_token_id", "<|startoftranscript|>"),
            end=read.one("eos_token_id", "<|endoftext|>"),
            languages={} if english else read.by_name("lang_to_id", LANGUAGES),
            tasks={} if english else read.by_name("task_to_id", ("transcribe", "translate")),
            no_timestamps=stamps,
            previous=previous,
            no_speech=stamps - 1,
            suppressed=suppressed,
            suppressed_first=read.several("begin_suppress_tokens"),
            latest_first=read.count("max_initial_timestamp_index"),
        )

    def language(self, text: str) -> str:
        """The code of a language that the model knows. Raises RequestError."""
        code = code_of(text)
        if not self.languages and code != "en":
            raise RequestError(
                f"language {text!r:.40}: this model knows English alone; leave it out"
            )
        if self.languages and code not in self.languages:
            known = ", ".join(sorted(self.languages))
            raise RequestError(
                f"the model knows no language {text!r:.40}; it knows {known}, or English names"
            )
        return code

    def task(self, *, translate: bool) -> int | None:
        """The token of a task; None: the model has but one. Raises RequestError."""
        name = "translate" if translate else "transcribe"
        if translate and name not in self.tasks:
            raise RequestError("this model writes down English alone, and translates nothing")
        return self.tasks.get(name)


class _Reader:
    def __init__(self, told: Mapping[str, Any], tokenizer: Tokenizer, vocabulary: int) -> None:
        self.told, self.tokenizer, self.vocabulary = told, tokenizer, vocabulary

    def id(self, name: str, value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not 0 <= value < self.vocabulary:
            raise ConfigError(
                f"{name} has {value!r:.40}, which is no token: there are {self.vocabulary}"
            )
        return int(value)

    def found(self, name: str, token: str) -> int | None:
        value = self.told.get(name)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value is None and not self.tokenizer.missing:
            value = self.tokenizer.inner.token_to_id(token)
        return None if value is None else self.id(name, value)

    def one(self, name: str, token: str) -> int:
        value = self.found(name, token)
        if value is None:
            raise ConfigError(
                f"neither generation_config.json has {name}, nor the tokenizer {token}, which "
                "transcription needs: copy the files of the model that it was made from"
            )
        return value

    def several(self, name: str) -> tuple[int, ...]:
        value = self.told.get(name)
        if value is None:
            return ()
        if not isinstance(value, Sequence) or len(value) > MOST_SUPPRESSED:
            raise ConfigError(f"{name} should be a list of token ids, not {value!r:.40}")
        return tuple(self.id(name, each) for each in value)

    def count(self, name: str) -> int | None:
        value = self.told.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ConfigError(f"{name} should be a whole number from 0, not {value!r:.40}")
        return value

    def by_name(self, name: str, names: Collection[str]) -> dict[str, int]:
        value = self.told.get(name)
        if value is None:
            inner = None if self.tokenizer.missing else self.tokenizer.inner
            ids = {each: inner and inner.token_to_id(f"<|{each}|>") for each in names}
            return {each: self.id(name, token) for each, token in ids.items() if token is not None}
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} should be token ids by name, not {value!r:.40}")
        return {str(key).strip("<|>"): self.id(name, token) for key, token in value.items()}
