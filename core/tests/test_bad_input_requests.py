"""What cannot be asked of a loaded model is refused at once; what can is never cut in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tramontane import LLM, SamplingParams
from tramontane.errors import CheckpointError, RequestError, TemplateError, TramontaneError
from tramontane.model.loaded_model import LoadedModel

from .refusal import checked
from .tiny_folder import CONFIG, tensors, write_folder

CONTEXT = 64
GREEDY = SamplingParams(temperature=0, max_tokens=4, ignore_eos=True)
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no\\nsystem') }}"
    "{% endif %}{{ m.content }}{% endfor %}"
)


def write_tokenizer(folder: Path) -> None:
    """A token for each byte."""
    letters = {letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_chat_model(folder: Path) -> Path:
    table = {"lm_head.weight", "model.embed_tokens.weight"}
    weights = {n: t.repeat(11, 1)[:256] if n in table else t for n, t in tensors().items()}
    write_folder(folder, {**CONFIG, "vocab_size": 256}, weights=weights)
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLM]:
    with LLM(write_chat_model(tmp_path_factory.mktemp("chat")), device="reference") as model:
        yield model
        # nothing that was refused may have broken what comes after
        assert len(model.generate("still here", GREEDY).token_ids) == 4


def refused(call: Any, kind: type[TramontaneError] = RequestError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return checked(caught.value)


@pytest.mark.parametrize("prompt", ["", []], ids=["text", "ids"])
def test_an_empty_prompt(llm: LLM, prompt: Any) -> None:
    assert "the prompt is empty" in refused(lambda: llm.generate(prompt, GREEDY))


@pytest.mark.parametrize("count", [CONTEXT, CONTEXT + 1, 10_000])
def test_a_prompt_over_the_context(llm: LLM, count: int) -> None:
    said = refused(lambda: llm.generate([1] * count, GREEDY))
    assert f"the prompt has {count} tokens and the context {CONTEXT}" in said
    assert "--num-ctx" in said


def test_a_prompt_that_just_fits(llm: LLM) -> None:
    answer = llm.generate([1] * (CONTEXT - 1), GREEDY)
    assert len(answer.token_ids) == 1
    assert answer.finish_reason == "context"


@pytest.mark.parametrize("token", [-1, 256, 2**40, 2**70])
def test_ids_out_of_range(llm: LLM, token: int) -> None:
    said = refused(lambda: llm.generate([1, token], GREEDY))
    assert f"token {token} is outside the vocabulary of 256" in said


@pytest.mark.parametrize("prompt", [[1.5], [None], [[1], 2], [b"a"], ["a", 1]], ids=str)
def test_prompts_of_other_things(llm: LLM, prompt: Any) -> None:
    said = refused(lambda: llm.generate(prompt, GREEDY))
    assert "a prompt is a string or a list of token ids" in said


@pytest.mark.parametrize("text", ["a\udc80b", "\ud800", "\udfff" * 10])
def test_halves_of_a_character(llm: LLM, text: str) -> None:
    """Python keeps bytes that are no UTF-8 as lone surrogates; no token stands for these."""
    said = refused(lambda: llm.generate(text, GREEDY))
    assert "surrogate" in said or "UTF-8" in said


@pytest.mark.parametrize("text", ["\0", "\uffff", "\u202e", "a\r\nb", "\N{GRINNING FACE}" * 3])
def test_odd_characters_are_characters(llm: LLM, text: str) -> None:
    assert llm.detokenize(llm.tokenize(text)) == text
    assert len(llm.generate(text, GREEDY).token_ids) == 4


def test_no_tokens_wanted(llm: LLM) -> None:
    answer = llm.generate("abc", SamplingParams(max_tokens=0))
    assert answer.token_ids == ()
    assert answer.finish_reason == "length"
    assert answer.usage.prompt_tokens == 3


def test_no_tokens_wanted_of_a_full_context(llm: LLM) -> None:
    assert llm.generate([1] * CONTEXT, SamplingParams(max_tokens=0)).token_ids == ()


@pytest.mark.parametrize("value", [-1, -(2**70), "many", 1.5, float("nan")])
def test_max_tokens(value: Any) -> None:
    said = refused(lambda: SamplingParams(max_tokens=value))
    assert "max_tokens" in said


def test_a_template_that_raises(llm: LLM) -> None:
    said = refused(lambda: llm.chat([{"role": "system", "content": "x"}]), TemplateError)
    assert "no system" in said


def test_a_template_that_does_not_compile(tmp_path: Path) -> None:
    folder = write_chat_model(tmp_path)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}")

    def chat() -> None:
        with LLM(folder, device="reference") as llm:
            llm.chat("x")

    assert "template" in refused(chat, TemplateError)


@pytest.mark.parametrize("messages", [[], [{}], [5], [{"role": "user"}], [None], 5])
def test_messages_that_are_none(llm: LLM, messages: Any) -> None:
    refused(lambda: llm.chat(messages, GREEDY), TramontaneError)


def test_a_chat_over_the_context(llm: LLM) -> None:
    assert "the prompt has 500 tokens" in refused(lambda: llm.chat("x" * 500, GREEDY))


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"temperature": "hot", "do_sample": True}, "temperature"),
        ({"top_k": -5.5, "do_sample": True}, "top_k"),
        ({"suppress_tokens": "all"}, "suppress_tokens"),
    ],
)
def test_generation_defaults_that_cannot_be(
    tmp_path: Path, defaults: dict[str, Any], said: str
) -> None:
    folder = write_chat_model(tmp_path)
    (folder / "generation_config.json").write_text(json.dumps(defaults))

    def generate() -> None:
        with LLM(folder, device="reference") as llm:
            llm.generate("x", SamplingParams(max_tokens=2))

    assert said in refused(generate, TramontaneError)


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    with LLM(write_folder(tmp_path), device="reference") as llm:
        assert len(llm.generate([1, 2], GREEDY).token_ids) == 4
        said = refused(lambda: llm.generate("text"))
    assert "has no tokenizer; looked for tokenizer.json" in said
    # what has no use for token ids, such as a server, refuses the model itself
    assert said.startswith(refused(lambda: LoadedModel(tmp_path), CheckpointError))


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    write_tokenizer(write_folder(tmp_path))
    with LLM(tmp_path, device="reference") as llm:
        said = refused(lambda: llm.generate("zzz", GREEDY))
    assert "outside the vocabulary of 24" in said
