"""A tiny GPT-OSS that has learnt one conversation on Harmony's channels by heart."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tramontane.chat.template import ChatTemplate

from .calling import ARGUMENTS, QUESTION, teach

SPECIALS = [
    "<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>",
    "<|end|>", "<|message|>", "<|call|>",
]  # fmt: skip
ENDS = ("<|return|>", "<|endoftext|>", "<|call|>")
"""What generation_config.json of the published checkpoints has as eos_token_id."""
TEMPLATE = (
    "<|start|>system<|message|>Reasoning: {{ reasoning_effort or 'medium' }}<|end|>"
    "{% for t in tools or [] %}<|start|>developer<|message|>{{ t.function.name }}<|end|>"
    "{% endfor %}"
    "{% for m in messages %}{% if m.role == 'tool' %}"
    "<|start|>functions.add to=assistant<|channel|>commentary<|message|>{{ m.content }}<|end|>"
    "{% elif m.tool_calls %}{% for call in m.tool_calls %}<|start|>assistant<|channel|>commentary "
    "to=functions.{{ call.function.name }} <|constrain|>json<|message|>"
    "{{ call.function.arguments | tojson }}<|call|>{% endfor %}"
    "{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
THOUGHTS = ("Add them.", "Now I know.")
ANSWER = "It is 5."
QUICK = "5, I guess."


def said(thought: str, message: str) -> str:
    return f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>{message}"


CALL = f"commentary to=functions.add <|constrain|>json<|message|>{ARGUMENTS}<|call|>"


def write_tokenizer(folder: Path) -> Tokenizer:
    """Bytes as tokens, and Harmony's marks."""
    letters = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)  # type: ignore[assignment]
    tokenizer.decoder = ByteLevelDecoder()  # type: ignore[assignment]
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|return|>", "chat_template": TEMPLATE, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return tokenizer


def write_harmony_model(folder: Path) -> None:
    """Asked QUESTION it thinks and calls `add`, told 5 it thinks and gives ANSWER; with
    reasoning_effort low it guesses."""
    from transformers import AutoModelForCausalLM, GptOssConfig

    tokenizer = write_tokenizer(folder)
    config = GptOssConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=48, intermediate_size=48,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        num_local_experts=4, num_experts_per_tok=2, sliding_window=32, max_position_embeddings=512,
    )  # fmt: skip
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(
        config, attn_implementation="eager", experts_implementation="eager"
    )
    teach(model, tokenizer, lessons(), rate=8e-3)
    model.save_pretrained(folder)
    ids = [tokenizer.token_to_id(text) for text in ENDS]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}), "utf-8")


def lessons() -> list[tuple[str, str]]:
    template = ChatTemplate(TEMPLATE, named={})
    tools = [{"type": "function", "function": {"name": "add"}}]
    asked = {"role": "user", "content": QUESTION}
    function = {"name": "add", "arguments": json.loads(ARGUMENTS)}
    called = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    told = {"role": "tool", "content": "5"}
    return [
        (template.render([asked], tools=tools), said(THOUGHTS[0], CALL)),
        (
            template.render([asked, called, told], tools=tools),
            said(THOUGHTS[1], f"final<|message|>{ANSWER}<|return|>"),
        ),
        (
            template.render([asked], reasoning_effort="low"),
            f"<|channel|>final<|message|>{QUICK}<|return|>",
        ),
    ]
