"""Every subcommand and option of llm's command lines, with a tiny file from before GGUF."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tramontane import LLM
from tramontane_plugin_llm.cli.main import run as run_llm
from tramontane_plugin_llm.cli.perplexity import as_rust
from tramontane_quant_ggml.container import open_ggml
from tramontane_quant_ggml.sample import write

Llm = Callable[..., tuple[int, str, str]]
GREEDY = ("-s", "greedy/repetition:penalty=1")


@pytest.fixture
def llm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Llm:
    """Run a command line here: status, output, errors."""
    monkeypatch.delenv("RUST_LOG", raising=False)

    def call(*arguments: object, piped: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(piped))
        try:
            status = run_llm([str(each) for each in arguments], "llm-rs")
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("old") / "model.bin", "ggjt")


@pytest.fixture(scope="module")
def told(old: Path) -> str:
    """What follows "the and", by the library."""
    with LLM(old, threads=1, num_ctx=64) as llm:
        return llm.generate("the and", max_tokens=8, temperature=0).text


def test_infer(llm: Llm, old: Path, told: str) -> None:
    line = ("infer", "-a", "LLaMA", "-m", old, "-t", 1, "-n", 8, "--batch-size", 2, *GREEDY)
    status, out, err = llm(*line, "--num-ctx-tokens", 64, "-p", "the and", "--stats")
    text, _, stats = out.partition("\n\n")
    assert (status, err) == (0, "")
    assert text == f"the and{told}"
    names = re.findall(r"^(\w+): \d+(?:ms|\.\d{3}ms)?$", stats, re.MULTILINE)
    assert names == [
        "feed_prompt_duration", "prompt_tokens", "predict_duration", "predict_tokens",
        "per_token_duration",
    ]  # fmt: skip
    hidden = llm(*line, "--no-mmap", "--no-float16", "-p", "the and", "--hide-prompt")
    assert hidden[1] == f"{told}\n"


def test_command_lines_of_before_the_architecture_was_an_option(
    llm: Llm, old: Path, told: str
) -> None:
    line = ("llama", "infer", "-m", old, "-p", "the and", "-n", 8, "-t", 1, "--float16")
    older = ("--repeat-penalty", "1", "--repeat-last-n", 8, "--top-k", 1, "--top-p", "0.9")
    assert llm(*line, *older, "--temperature", "0.5")[:2] == (0, f"the and{told}\n")
    status, _, err = llm(*line, "--top-k", 1, "-s", "top-k:3")
    assert status == 2
    assert "--top-k and --sampler say the same; give one (llm-rs infer --help)" in err


def test_prompts(llm: Llm, old: Path, told: str, tmp_path: Path) -> None:
    (tmp_path / "ask.txt").write_text("the {{PROMPT}}")
    line = ("infer", "-m", old, "-n", 8, "-t", 1, *GREEDY, "-f", tmp_path / "ask.txt")
    assert llm(*line, "-p", "and")[1] == f"the and{told}\n"
    assert llm(*line, "-n", 0)[1] == "the {{PROMPT}}\n"
    assert llm("infer", "-m", old)[::2] == (
        2, "error: no prompt: give -p TEXT or -f FILE (llm-rs infer --help)\n"
    )  # fmt: skip
    assert "cannot read" in llm("infer", "-m", old, "-f", tmp_path / "none")[2]


def test_a_seed_decides(llm: Llm, old: Path) -> None:
    line = ("infer", "-m", old, "-p", "the", "-n", 12, "-t", 1, "--seed")
    first, again, other = (llm(*line, seed)[1] for seed in (7, 7, 8))
    assert first == again != other


def test_biases_and_the_end(llm: Llm, old: Path) -> None:
    line = ("infer", "-m", old, "-p", "the", "-n", 3, "-t", 1, "--hide-prompt", *GREEDY)
    piece = open_ggml(old).tokenizer().token_bytes(260).decode()
    assert llm(*line, "--token-bias", "260=100")[1] == f"{piece * 3}\n"
    ended = llm(*line, "--token-bias", "2=100")
    assert ended[1] == "\n"
    assert llm(*line, "--token-bias", "2=100,260=90", "--ignore-eos")[1] == f"{piece * 3}\n"
    status, _, err = llm(*line, "--token-bias", "a=b")
    assert status == 2
    assert "--token-bias 'a=b': not ID=BIAS" in err


def test_sessions(llm: Llm, old: Path, told: str, tmp_path: Path) -> None:
    saved, kept = tmp_path / "session", tmp_path / "kept"
    line = ("infer", "-m", old, "-t", 1, *GREEDY)
    assert llm(*line, "-p", "the", "-n", 0, "--save-session", saved)[:2] == (0, "the\n")
    assert llm(*line, "-p", " and", "-n", 8, "--load-session", saved)[1] == f" and{told}\n"
    for prompt in ("the", " and"):
        assert llm(*line, "-p", prompt, "-n", 0, "--persist-session", kept)[0] == 0
    assert llm(*line, "-p", " ", "-n", 0, "--load-session", tmp_path / "none")[0] == 1
    saved.write_bytes(b"\x28\xb5\x2f\xfd and more")
    status, _, err = llm(*line, "-p", "x", "--load-session", saved)
    assert status == 1
    assert "is a session of rustformers' llm, whose keys and values only it reads" in err
    both = llm(*line, "-p", "x", "--load-session", saved, "--persist-session", kept)
    assert both[0] == 2


def test_perplexity(llm: Llm, old: Path) -> None:
    text, size = 2 * "the and 12 that is an old the then and the and", 16
    status, out, _ = llm(
        "perplexity", "-m", old, "-p", text, "--num-ctx-tokens", size, "-t", 1, "--no-float16"
    )
    assert status == 0
    total, count, lines = 0.0, 0, []
    with LLM(old, threads=1, kv_type="f32", num_ctx=size) as model:
        tokens = model.tokenize(text)
        for start in range(0, len(tokens) - size + 1, size):
            chunk = [1, *tokens[start + 1 : start + size]]
            logits = np.asarray(model.logits(chunk), np.float64)
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            for place in range(size // 2, size - 1):
                total, count = total - logs[place, chunk[place + 1]], count + 1
            lines.append(np.exp(total / count))
    found = re.findall(r"^Perplexity\[(\d+)\]: (\d+\.\d+)$", out, re.MULTILINE)
    assert [int(chunk) for chunk, _ in found] == list(range(len(lines)))
    assert len(lines) > 1
    np.testing.assert_allclose([float(value) for _, value in found], lines, rtol=1e-5)
    short = llm("perplexity", "-m", old, "-p", "the", "--num-ctx-tokens", size)
    assert short[0] == 1
    assert re.search(r"the text has 2 tokens, and a chunk 16: give a longer one", short[2])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12.0, "12"), (5.4321, "5.4321"), (1e9, "1000000000"), (float("inf"), "inf")],
)
def test_numbers_are_printed_as_rust_does(value: float, shown: str) -> None:
    assert as_rust(value) == shown


LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z  INFO llm: "


def test_info(llm: Llm, old: Path) -> None:
    status, out, err = llm("info", "-a", "llama", "-m", old)
    assert (status, out) == (0, "")
    assert [re.sub(f"^{LINE}", "", line) for line in err.splitlines()] == [
        "Container type: Ggjt(3)",
        "Hyperparameters: Hyperparameters { n_vocab: 297, n_embd: 64, n_mult: 256, n_head: 4, "
        "n_layer: 2, n_rot: 16, file_type: FileType { format: MostlyQ4_0, quantization_version: "
        "0 } }",
        "Tokenizer vocabulary size: 297",
    ]
    whole = llm("info", "-m", old, "--tensors", "--tokenizer")[2]
    assert re.search(f"{LINE}- layers.1.feed_forward.w2.weight \\(Q4_0 \\[256, 64\\]\\)\n", whole)
    assert re.search(f"{LINE}- 260: the\n", whole)
    assert re.search(f"{LINE}- 200: \\[197\\]\n", whole)


def test_prompt_tokens(llm: Llm, old: Path) -> None:
    line = ("prompt-tokens", "-m", old, "-p", "the")
    status, out, err = llm(*line)
    assert (status, out) == (0, "")
    said = [re.sub(f"^{LINE}", "", each) for each in err.splitlines()]
    assert said == ["=== Dumping prompt tokens:", "268", "[32, 116, 104, 101]:268"]


def test_rust_log(
    llm: Llm, old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["prompt-tokens", "-m", str(old), "-p", "the"]
    for told, lines in {"warn": 0, "off": 0, "llm=error,info": 0, "LLM=x": 1, "debug": 3}.items():
        monkeypatch.setenv("RUST_LOG", told)
        assert run_llm(line) == 0
        shown = capsys.readouterr().err
        assert shown.count("\n") == (4 if lines == 1 else lines), told
        assert ("'LLM=x' is no directive, and has no effect" in shown) == (lines == 1)


def test_repl(llm: Llm, old: Path, told: str, tmp_path: Path) -> None:
    (tmp_path / "template").write_text("the {{PROMPT}}")
    line = ("repl", "-m", old, "-n", 8, "-t", 1, *GREEDY)
    assert llm(*line, piped="the and\nthe and\n")[:2] == (0, f"{told}\n{told}\n")
    assert llm(*line, "-f", tmp_path / "template", piped="and\n")[1] == f"{told}\n"
    assert llm(*line, piped="a\\\nb")[0] == 0


def test_chat(llm: Llm, old: Path, tmp_path: Path) -> None:
    prelude, prefix = tmp_path / "prelude", tmp_path / "prefix"
    prelude.write_text("the and\n")
    prefix.write_text("an: ")
    line = ("chat", "-m", old, "-n", 8, "-t", 1, *GREEDY, "-f", prelude)
    status, out, _ = llm(*line, "-p", "an: ", piped="is\nis\n")
    session, expected = "the and\n", ""
    with LLM(old, threads=1) as model:
        for _ in range(2):
            session += "an: is\n"
            answer = model.generate(session, max_tokens=8, temperature=0, stop=("an: ",)).text
            answer += "" if answer.endswith("\n") else "\n"
            session, expected = session + answer, expected + answer
    assert (status, out) == (0, expected)
    assert llm(*line, "-q", prefix, piped="is\nis\n")[1] == out
    for wrong, said in {
        (): "no prefix: give --message-prompt-prefix or --message-prompt-prefix-file",
        ("-p", "a", "-q", prefix): "exclude each other; give one",
        ("-p", "{{PROMPT}}"): "a prefix has no {{PROMPT}}",
        ("-p", ""): "an empty prefix would end every answer at once",
    }.items():
        status, _, err = llm(*line, *wrong)
        assert status == 2
        assert said in err
    full = llm(*line, "-p", "an: ", "--num-ctx-tokens", 24, "-n", 30, piped="is\nis\nis\n")
    assert (full[0], "context" in full[2]) == (1, True)


def test_quantize(llm: Llm, old: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "source.bin", "ggjt", packed=False)
    for kind in ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0"):
        out = tmp_path / f"{kind}.bin"
        assert llm("quantize", "-a", "llama", source, out, kind)[0] == 0
        said = llm("info", "-m", out)[2]
        assert f"format: Mostly{kind.upper()}, quantization_version: 2" in said
    assert llm("infer", "-m", tmp_path / "q4_0.bin", "-p", "the", "-n", 2, "-t", 1)[0] == 0
    gguf = tmp_path / "new.gguf"
    assert llm("quantize", source, gguf, "q8_0")[0] == 0
    assert "Container type: Gguf" in llm("info", "-m", gguf)[2]
    for arguments, status, said in (
        ((old, tmp_path / "x", "q4_0"), 2, "is quantized already; give a file of F32 or F16"),
        ((source, tmp_path / "q4_0.bin", "q4_0"), 1, "is there already"),
        ((source, tmp_path / "x", "q4_0", "-c", "ggml"), 2, "has scores of tokens"),
        ((gguf, tmp_path / "x", "q4_0"), 2, "is no file from before GGUF"),
        ((source, tmp_path / "x", "q2_k"), 2, "KIND q2_k: must be q4_0"),
        ((source, tmp_path / "no/x", "q4_0"), 1, "cannot write"),
    ):
        found = llm("quantize", *arguments)
        assert (found[0], said in found[2]) == (status, True), found
    assert not list(tmp_path.glob("x*"))


def test_a_tokenizer_beside(
    llm: Llm, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"the": 0, "and": 1, "?": 2}, "?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(file := tmp_path / "words.json"))
    line = ("prompt-tokens", "-m", old, "-p", "and the")
    assert llm(*line, "-v", file)[2].splitlines()[1].endswith(" 1, 0")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, name: str(file))
    assert llm(*line, "-r", "org/name")[2].splitlines()[1].endswith(" 1, 0")
    both = llm(*line, "-r", "org/name", "-v", file)
    assert both[0] == 2
    assert "--tokenizer-path and --tokenizer-repository exclude each other; give one" in both[2]
    assert "no tokenizer nowhere: there is no such file" in llm(*line, "-v", "nowhere")[2]
    out = tmp_path / "q8_0.bin"
    source = write(tmp_path / "source.bin", "ggjt", packed=False)
    assert llm("quantize", source, out, "q8_0", "-v", file)[0] == 0
    assert open_ggml(out).file.vocabulary[1][0].strip() == b"and"
    gguf = tmp_path / "n.gguf"
    assert llm("quantize", source, gguf, "q8_0")[0] == 0
    own = llm("prompt-tokens", "-m", gguf, "-p", "x", "-v", file)
    assert own[0] == 2
    assert "has a tokenizer of its own: -v and -r are for files from before GGUF" in own[2]


def test_adapters(llm: Llm, old: Path, told: str, tmp_path: Path) -> None:
    from tramontane_quant_ggml.adapter_sample import write as write_adapter

    shape = {"model.layers.0.mlp.gate_proj.weight": (256, 64)}
    path = write_adapter(tmp_path, shape).rename(tmp_path / "any-name.bin")
    line = ("infer", "-m", old, "-p", "the and", "-n", 8, "-t", 1, *GREEDY, "--lora-paths", path)
    status, out, err = llm(*line)
    assert (status, err) == (0, "")
    assert out != f"the and{told}\n"
    missing = llm("infer", "-m", old, "-p", "x", "--lora-paths", "nothing")
    assert missing[0] == 1
    assert "no adapter nothing" in missing[2]


def test_rope(llm: Llm, old: Path, told: str) -> None:
    line = ("infer", "-m", old, "-p", "the and", "-n", 8, "-t", 1, *GREEDY)
    same = llm(*line, "--rope-freq-base", 10000, "--rope-freq-scale", 1)
    other = llm(*line, "--rope-freq-base", 10, "--rope-freq-scale", "0.1")
    assert same[1] == f"the and{told}\n"
    assert other[1] != same[1]
    assert llm(*line, "--rope-freq-base", 0)[0] == 2


def test_devices(llm: Llm, old: Path, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tramontane.system.devices.accelerators", lambda registry: [])
    line = ("infer", "-m", old, "-p", "the and", "-n", 8, "-t", 1, *GREEDY)
    status, out, err = llm(*line, "--use-gpu", "--gpu-layers", 1)
    assert (status, out) == (0, f"the and{told}\n")
    assert "WARN llm: --use-gpu: there is no accelerator, so the processor is used" in err
    assert "--gpu-layers 1 has no effect without --use-gpu" in llm(*line, "--gpu-layers", 1)[2]


def test_families(llm: Llm, old: Path) -> None:
    line = ("prompt-tokens", "-m", old, "-p", "x")
    assert llm(*line, "-a", "gpt-neox")[::2] == (
        2, f"error: --model-architecture gptneox: {old} is of llama, as its tensors show; leave "
        "-a out, or name that (llm-rs prompt-tokens --help)\n"
    )  # fmt: skip
    unknown = llm(*line, "-a", "bert")
    assert unknown[0] == 2
    assert "--model-architecture bert: must be one of bloom, falcon, gpt2" in unknown[2]
    assert llm(*line, "--gqa", 1)[0] == 0
    assert "--gqa 8" in llm(*line, "--gqa", 8)[2]
    assert llm("infer", "-m", "nothing.bin", "-p", "x")[0] == 1


def test_no_command_and_the_version(llm: Llm) -> None:
    assert llm()[0] == 2
    assert "must be infer" in llm("infre")[2].replace("COMMAND infre: ", "")
    assert re.fullmatch(r"llm-rs \d+\.\d+\.\d+\n", llm("--version")[1])
    assert "prompt-tokens" in llm("--help")[1]
