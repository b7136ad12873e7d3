"""A model that begins to reason by itself may do so before a form, unless it is told not to."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel
from tramontane import LLM, SamplingParams

START = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
ANSWER = "<|im_start|>assistant\n"
MARKS = "{# <think> and </think> #}"
TEMPLATES = {
    "by itself": START + MARKS + ANSWER
    + "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}",
    "by the prompt": START + ANSWER + "{% if enable_thinking %}<think>\n{% endif %}" + MARKS,
    "never": START + ANSWER,
}  # fmt: skip


class Answer(BaseModel):
    wet: bool


def opened(tmp_path: Path, kind: str) -> LLM:
    path = tmp_path / "template.jinja"
    path.write_text(TEMPLATES[kind])
    return LLM(chat_template=path)


@pytest.mark.parametrize("kind", list(TEMPLATES))
def test_who_begins_the_reasoning(tmp_path: Path, kind: str) -> None:
    with opened(tmp_path, kind) as llm:
        assert llm.inner.begins_reasoning == (kind == "by itself")


@pytest.mark.parametrize("thinking", [None, False])
def test_a_model_that_wants_to_reason_does(tmp_path: Path, thinking: bool | None) -> None:
    with opened(tmp_path, "by itself") as llm:
        first = llm.inner.tokenizer.encode("<think>", add_special=False)[0]
        params = SamplingParams(max_tokens=40, temperature=0, logit_bias={first: 100.0})
        variables = {} if thinking is None else {"enable_thinking": thinking}
        answer = llm.chat("Will it rain?", params, schema=Answer, template_variables=variables)
        assert bool(answer.reasoning) == (thinking is None)
        if thinking is False:
            assert answer.parsed.wet in (True, False)


@pytest.mark.parametrize("kind", list(TEMPLATES))
def test_a_model_that_does_not_answers_in_the_form(tmp_path: Path, kind: str) -> None:
    with opened(tmp_path, kind) as llm:
        (brace,) = llm.inner.tokenizer.encode("{", add_special=False)
        params = SamplingParams(max_tokens=40, temperature=0, logit_bias={brace: 100.0})
        answer = llm.chat("Will it rain?", params, schema=Answer)
        assert (answer.reasoning, answer.parsed.wet) in (("", True), ("", False))
