"""The command-line tool `llm`, with a model of its extra-openai-models.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .feature import CITY, STORY, Features, expect

feature = Features("llm")
MODEL = """
- model_id: here
  model_name: default
  api_base: {url}/v1
  supports_tools: true
  supports_schema: true
"""


def llm(url: str, *options: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "extra-openai-models.yaml").write_text(MODEL.format(url=url))
        done = subprocess.run(
            [sys.executable, "-m", "llm", *options, "-m", "here"],
            capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
            env={**os.environ, "LLM_USER_PATH": folder},
        )  # fmt: skip
    expect(not done.returncode, done.stderr.strip().rpartition("\n")[2])
    return done.stdout.strip()


@feature("a prompt, streamed")
def streamed(url: str) -> None:
    expect(llm(url, STORY, "-o", "max_tokens", "20"), "text")


@feature("a prompt, --no-stream")
def whole(url: str) -> None:
    expect(llm(url, STORY, "--no-stream", "-o", "max_tokens", "20"), "text")


@feature("--schema")
def schema(url: str) -> None:
    found = json.loads(llm(url, CITY, "--schema", "city, warm bool"))
    expect(set(found) == {"city", "warm"}, str(found))


@feature("--functions")
def functions(url: str) -> None:
    source = 'def get_weather(city: str) -> str:\n    "The weather in a city."\n    return "hail"\n'
    said = llm(url, CITY, "--functions", source, "-o", "temperature", "0")
    expect("hail" in said, f"the result in {said!r}")


if __name__ == "__main__":
    feature.main()
