"""Lets an exported file speak through transformers, to read what a training came to."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = (
    ("hello",), ("hi!",), ("Tell me a story",), ("Tell me a story about a dragon",),
    ("how do I install a plugin?",), ("how do I serve a model?",), ("what can you do?",),
    ("write a short tale with a kangaroo",), ("Tell me a story about a pangolin named Zuzu",),
    ("a story about a cat and a dog", "what was the cat called?", "another one please"),
    ("What is the capital of France?",), ("what is 17 * 23?",), ("Who are you?", "thanks", "bye"),
    ("My name is Ottokar", "what is my name?"), ("tell me a joke", "haha"),
    ("hello", "yes please", "thank you"), ("How do I run Qwen/Qwen3-8B?",), ("how can I quit",),
    ("how do I use it in Python?",), ("which plugins do I have?",),
    ("why are you called Tramontane",),
    ("Explain the theory of general relativity",), ("how fast is my model?",), ("how are you?",
    "fine"),
    ("write a python script that renames files",), ("how do I set a system prompt?",),
    ("who is Einstein?",),
    ("Tell me a long story about a lighthouse keeper",), ("a tale about friendship",),
    ("wie geht es dir?",),
    ("Can I use my GPU?",), ("how do I save this chat?", "and how do I load it again?"),
    ("what is the north wind?",), ("I am sad",), ("my dog ate my homework",), ("is there an api",),
)  # fmt: skip


def main() -> None:
    """Print the answers to a list of prompts, or to those given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("prompts", nargs="*", help="the turns of one conversation")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    folder, name = str(options.file.parent), options.file.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    for prompts in [tuple(options.prompts)] if options.prompts else PROMPTS:
        chat: list[dict[str, str]] = []
        for prompt in prompts:
            chat.append({"role": "user", "content": prompt})
            text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
            sampling = {"do_sample": True, "temperature": options.temperature, "top_k": 0}
            output = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max(1, 512 - ids.shape[1]),
                eos_token_id=end,
                pad_token_id=end,
                **(sampling if options.temperature > 0 else {"do_sample": False}),
            )
            answer = tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
            chat.append({"role": "assistant", "content": answer})
            print(f"> {prompt}\n{answer}\n", flush=True)
        print("-" * 20)


if __name__ == "__main__":
    main()
