"""docs/llm-rs.md has every command and option of llm, and the test that runs it. Of the command
lines of its documents those that other tests cover run with TRAMONTANE_FULL=1."""

from __future__ import annotations

import ast
import io
import os
import re
import shlex
from pathlib import Path

import pytest
from tramontane.cli.parser import COLLECTED, Parser
from tramontane_plugin_llm.cli.main import COMMANDS
from tramontane_plugin_llm.cli.main import run as run_llm
from tramontane_quant_ggml.sample import write

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/llm-rs.md").read_text("utf-8")
SHARED = ROOT.parent / "shared/reference/commands.md"
TOKENIZER = "-a --model-architecture -v --tokenizer-path -r --tokenizer-repository"
LOAD = (
    f"-m --model-path {TOKENIZER} --num-ctx-tokens --no-mmap --lora-paths --gpu-layers "
    "--rope-freq-base --rope-freq-scale"
)
GENERATE = (
    "-t --num-threads -n --num-predict --batch-size -s --sampler --seed --float16 --no-float16 "
    "--token-bias --ignore-eos --use-gpu"
)
OLDER = "--repeat-last-n --repeat-penalty --temperature --top-k --top-p"
PROMPT = "-p --prompt -f --prompt-file"
SESSIONS = "--load-session --save-session --persist-session"
THEIRS = {
    "infer": f"{LOAD} {GENERATE} {OLDER} {PROMPT} {SESSIONS} --hide-prompt --stats",
    "perplexity": f"{LOAD} {GENERATE} {OLDER} {PROMPT}",
    "info": f"-m --model-path {TOKENIZER} -t --tensors -k --tokenizer",
    "prompt-tokens": f"{LOAD} {PROMPT}",
    "repl": f"{LOAD} {GENERATE} {OLDER} -f --prompt-file",
    "chat": f"{LOAD} {GENERATE} {OLDER} -f --prelude-prompt-file -p --message-prompt-prefix "
    "-q --message-prompt-prefix-file",
    "quantize": f"{TOKENIZER} -c --container-type",
}
"""Options of llm's commands, from its own sources."""
LINES = [
    'llm infer -a llama -m PATH/model.bin --use-gpu -p "..."',
    'llm infer -a gptneox -m PATH/model.bin -p "Rust is a cool programming language because"',
    "llm repl -a llama -m PATH/model.bin -f PATH/alpaca.txt",
    'llm chat -a llama -m PATH/model.bin -f PATH/prelude.txt -p "USER: "',
    "llm quantize -a gptneox PATH/plain.bin PATH/quantized.bin q4_0",
    'llm perplexity -a llama -m PATH/model.bin -p "..." --num-ctx-tokens 2',
    "llm info -a llama -m PATH/model.bin",
    'llm prompt-tokens -a llama -m PATH/model.bin -p "..."',
    'llm llama infer -m PATH/model.bin -p "..."',
]
"""Command lines of llm's documents; the family is that of the tiny model."""
FULL = os.environ.get("TRAMONTANE_FULL") == "1"


def rows() -> list[tuple[set[str], list[str], str]]:
    """Commands, options and the test of each row of the page's table."""
    found = re.findall(r"^\| ([a-z, -]+) \| (`-.*?) \| .+ \| `(test_\w+)` \|$", PAGE, re.MULTILINE)
    return [
        (set(commands.split(", ")), re.findall("`(-[^` ]*)", options), test)
        for commands, options, test in found
    ]


class _Stop(Exception):
    pass


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_row_and_is_taken(command: str) -> None:
    theirs = set(THEIRS[command].split())
    listed = {
        option for commands, options, _ in rows() if command in commands for option in options
    }
    assert listed == theirs
    parsers: list[Parser] = []

    def collect(parser: Parser) -> None:
        parsers.append(parser)
        raise _Stop

    token = COLLECTED.set(collect)  # type: ignore[arg-type]
    try:
        with pytest.raises(_Stop):
            run_llm([command])
    finally:
        COLLECTED.reset(token)
    assert theirs <= {*parsers[0]._option_string_actions}


def test_every_row_names_a_test_that_gives_the_option() -> None:
    source = (Path(__file__).parent / "test_llm.py").read_text("utf-8")
    tests = {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    }
    assert rows()
    for _, options, test in rows():
        assert any(f'"{option}"' in tests[test] for option in options), (options, test)


def test_the_list_of_command_lines_is_whole() -> None:
    if not SHARED.is_file():
        pytest.skip(f"{SHARED} is not there")
    section = SHARED.read_text("utf-8").partition("## rustformers/llm")[2].partition("\n## ")[0]
    lines = re.findall(r"^llm .*$", section, re.MULTILINE)
    assert lines
    assert set(lines) <= set(LINES)


@pytest.mark.parametrize("line", LINES if FULL else LINES[:1])
def test_command_lines_of_its_documents(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "model.bin", "ggjt")
    write(tmp_path / "plain.bin", "ggjt", packed=False)
    (tmp_path / "alpaca.txt").write_text("{{PROMPT}}\n")
    (tmp_path / "prelude.txt").write_text("USER: hello\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))
    words = shlex.split(line.replace("PATH", str(tmp_path)).replace("gptneox", "llama"))[1:]
    if {"infer", "repl", "chat"} & {*words}:
        words += ["-n", "3", "-t", "1", "--seed", "1"]
    assert run_llm(words) == 0
    said = capsys.readouterr()
    assert said.out or "INFO" in said.err
