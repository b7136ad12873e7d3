"""A tiny model that has learnt one conversation by heart, in which it calls a tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tramontane.chat.template import ChatTemplate

from .tiny import write_model

TEMPLATE = (
    "{% for tool in tools or [] %}<tool>{{ tool.function.name }}{% endfor %}"
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>"
    "{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
QUESTION, ANSWER = "What is 2 and 3?", "It is 5."
ARGUMENTS = '{"a": 2, "b": 3}'
CALL = f'<tool_call>\n{{"name": "add", "arguments": {ARGUMENTS}}}\n</tool_call>'
STEPS = 400


def write_calling_model(folder: Path) -> None:
    """Asked QUESTION it calls `add`; told 5 it gives ANSWER."""
    model = write_model(folder, max_position_embeddings=512, hidden_size=64, intermediate_size=128)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"chat_template": TEMPLATE, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    teach(model, tokenizer, lessons())
    model.save_pretrained(folder)


def teach(
    model: Any, tokenizer: tokenizers.Tokenizer, pairs: list[tuple[str, str]], rate: float = 4e-3
) -> None:
    """Train a model of transformers until it knows what is said to each prompt. pairs: prompts and
    what is to be said to them."""
    rows = [
        [tokenizer.encode(text, add_special_tokens=False).ids for text in pair] for pair in pairs
    ]
    length = max(len(prompt) + len(said) for prompt, said in rows)
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    wanted = torch.full_like(tokens, -100)
    for index, (prompt, said) in enumerate(rows):
        end = len(prompt) + len(said)
        tokens[index, :end] = torch.tensor(prompt + said)
        wanted[index, len(prompt) : end] = torch.tensor(said)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, 0, 0.05)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    for _ in range(STEPS):
        loss = model(input_ids=tokens, labels=wanted).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.004:
            break
    assert loss.item() < 0.01, "it has not learnt its lesson"
    model.eval()


def lessons() -> list[tuple[str, str]]:
    """Prompts and what is to be said to them."""
    template = ChatTemplate(TEMPLATE, named={})
    tools = [{"type": "function", "function": {"name": "add"}}]
    asked = {"role": "user", "content": QUESTION}
    function = {"name": "add", "arguments": ARGUMENTS}
    called = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    told = {"role": "tool", "content": "5"}
    return [
        (template.render([asked], tools=tools), f"{CALL}<|end|>"),
        (template.render([asked, called, told], tools=tools), f"{ANSWER}<|end|>"),
    ]
