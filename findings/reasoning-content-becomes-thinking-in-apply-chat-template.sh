#!/usr/bin/env bash
# transformers 5.23.0: an assistant's `reasoning_content` reaches the chat template as `thinking` too.
#
# Guess: `apply_chat_template` hands messages to the template as they are, so a template of the kind of
#   gpt-oss's, which refuses `content` beside `thinking` in a message with tool calls, takes a message with
#   `content`, `reasoning_content` and a call: it has no `thinking`.
# Seen: the template refuses it. `reasoning_content` (and `reasoning`) are copied to `thinking` before
#   rendering, also where the message has `thinking: None`. A message with `thinking: ""` is taken.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 jinja2==3.1.6 tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PYTHON'
import jinja2
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

template = """{%- for m in messages %}{%- if m.tool_calls %}
{%- if m.content and m.thinking %}{{ raise_exception("both content and thinking") }}{%- endif %}
{%- endif %}[{{ m.content }}|{{ m.thinking }}]{%- endfor %}"""
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, unk_token="a")))
call = {"type": "function", "function": {"name": "now", "arguments": {}}}
message = {"role": "assistant", "content": "Let me look.", "reasoning_content": "hm", "tool_calls": [call]}


def render(message):
    try:
        return tokenizer.apply_chat_template([message], chat_template=template, tokenize=False)
    except jinja2.exceptions.TemplateError as error:
        return f"refused: {error}"


print("transformers", transformers.__version__)
seen = render(message)
print("content, reasoning_content and a call:", seen)
null = render({**message, "thinking": None})
print("the same with thinking: None:         ", null)
held = render({**message, "thinking": ""})
print("the same with thinking: '':           ", held)
without = render({**message, "tool_calls": []})
print("without calls, thinking is filled in: ", without)
assert seen == "refused: both content and thinking", seen
assert null == seen, null
assert held == "[Let me look.|]", held
assert without == "[Let me look.|hm]", without
PYTHON
