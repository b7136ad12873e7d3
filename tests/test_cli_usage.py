"""What a wrong command line is answered with: one line, the way out, and exit status 2."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tramontane.cli.main import BUILT_IN
from tramontane.testing.cli_page import commands

Run = Callable[..., tuple[int, str, str]]


def test_help_says_what_every_command_is_for(run: Run) -> None:
    listed = dict(re.findall(r"^  ([\w-]+) +(\S.*)$", run("--help")[1], re.MULTILINE))
    assert {*commands()} <= {*listed}
    assert all(listed[name].endswith(".") for name in commands())


def test_commands_of_others_have_their_distribution_s_summary(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the module does not exist: nothing is imported
    for name, summary in (("acme-words", "Summary: Count words.\n"), ("acme-dumb", "")):
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        (folder / "METADATA").write_text(head + summary)
        (folder / "entry_points.txt").write_text(f"[tramontane.commands]\n{name[5:]} = nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("TRAMONTANE_PLUGINS", raising=False)
    status, out, _ = run("--help")
    assert status == 0
    assert "Count words (acme-words)" in out
    assert "no summary (acme-dumb)" in out


@pytest.mark.parametrize("name", commands())
def test_an_unknown_option_is_one_line(run: Run, name: str) -> None:
    status, out, err = run(name, "--verbos-e", "1")
    assert (status, out) == (2, "")
    said = "error: unknown option --verbos-e; did you mean --verbose? (tramontane "
    assert err == f"{said}{name} --help)\n"


USAGE = [
    ("run --temprature 1", "unknown option --temprature; did you mean --temperature?"),
    ("run --top_p=0.5", "unknown option --top_p; did you mean --top-p?"),
    ("run --zzz", "unknown option --zzz (tramontane run --help)"),
    ("run --te", "--temperature needs a value"),
    ("run --top- 1", "option --top- is ambiguous: --top-k, --top-p"),
    ("run a_b hello", "unexpected argument 'a_b'; a text to answer goes after -i"),
    ("run hello -m b", "two models, hello and b: name one"),
    ("run --quiet=3", "--quiet takes no value"),
    ("run --system", "--system needs a value"),
    ("run --dtype int8", "--dtype int8: must be auto, f32, bf16 or f16"),
    ("run --kv-type int3", "f16, int8, int4, f8e4m3 or f8e5m2; did you mean int8?"),
    ("run --top-k x", "--top-k x: not a whole number"),
    ("run --top-p x", "--top-p x: not a number"),
    ("run --top-p 1.5", "--top-p 1.5: at most 1"),
    ("run --temperature -1", "--temperature -1.0: at least 0"),
    ("run --seed -1", "--seed -1: at least 0"),
    ("run -n -3", "--max-tokens -3: at least 0"),
    ("run --dynatemp-exponent 0", "--dynatemp-exponent 0.0: more than 0"),
    ("run --json --logprobs 30", "--logprobs 30: at most 20"),
    ("run --logprobs 3", "--logprobs is part of what --json prints"),
    ("run --num-ctx -4", "--num-ctx -4: at least 1"),
    ("run --batch-size 0", "--batch-size 0: at least 1"),
    ("run -t x", "--threads x: not a whole number"),
    ("run --rope-freq-scale 7", "--rope-freq-scale 7: at most 1"),
    ("run --rope-freq-base nan", "--rope-freq-base nan: a number above 0"),
    ("run --token-bias a=b", "--token-bias a=b: not ID=BIAS"),
    ("run --suppress-token -1", "--suppress-token -1: at least 0"),
    ("run --grammar json --json-schema {}", "--json-schema and --grammar exclude each other"),
    ("run --no-template --mcp-config x", "--mcp-config needs a chat"),
    ("run --approvals maybe --tools files", "neither auto, ask or deny nor RISK=MODE"),
    ("run --tool-option files.hours=1", "there is none: --tools NAME"),
    ("run --no-template --tools files", "--tools needs a chat"),
    ("sessions show", "sessions show takes a name"),
    ("sessions list --keep 1", "--keep N goes with sessions fork"),
    ("web --no-pages", "--no-pages leaves nothing to open: use tramontane serve"),
    ("embed", 'there is no text: tramontane embed "a text" -m MODEL'),
    ("embed x --dimensions 0", "--dimensions 0: at least 1"),
    ("rank x", 'there is no document: tramontane rank "query" "document" -m MODEL'),
    ("speak x --seed z", "--seed z: not a whole number"),
    ("image", 'describe an image: tramontane image "a red fox in the snow" -m MODEL'),
    ("bench --reps 0", "--reps 0: at least 1"),
    ("bench --parallel 1,0", "--parallel 0: at least 1"),
    ("bench --gen 1,x", "--gen x: not a whole number"),
    ("perplexity", "name a text to score: tramontane perplexity FILE"),
    ("perplexity a -f b -m c", "two models, a and c: name one"),
    ("tokenize a -i b -m c", "two models, a and c: name one"),
    ("transcribe", "FILE is missing"),
    ("transcribe nowhere.wav", "there is no file nowhere.wav"),
    ("quantize a b", "--to is missing: 2 to 8 bits, or a kind such as q4_k"),
    ("quantize a --to 4", "name a model and what to write"),
    ("imatrix a", "--text and --output are needed"),
    ("tune a --profile best", "--profile best: must be quality, balanced or fast"),
    ("pull", "name a model: tramontane pull org/name"),
    ("list x", "unexpected argument 'x'"),
    ("rm", "MODEL is missing"),
    ("warmup a b", "unexpected argument"),
    ("cache trim", "cache trim needs a size, such as 10GB"),
    ("cache limit ten", "'ten' is not a size, such as 10GB"),
    ("cache show 10GB", "cache show takes no size"),
    ("cache show --kernels", "--kernels goes with cache clear"),
    ("perplexity a --stride 0", "--stride 0: at least 1"),
    ("inspect a -m b", "two models, a and b: name one"),
    ("new architecture", "name is missing"),
    ("new model x --like y", "--like is for an architecture, not for a model"),
    ("plugins foo", "unexpected argument 'foo'"),
    ("llm infre", "COMMAND infre: must be infer, perplexity"),
    ("verify a --length 1", "--length 1: at least 2"),
    ("sandbox --memory 1", "the sandbox's limit memory=1048576: at least 67108864"),
    ("sandbox --read /nowhere", "the sandbox cannot show /nowhere: it does not exist"),
    ("top ftp://x", "'ftp://x' is no address of a server, such as http://127.0.0.1:1234"),
    ("top --interval 0", "--interval 0: from 0.1 to 3600 seconds"),
    ("route", "name a replica: tramontane route --to http://127.0.0.1:8001"),
    ("deploy --replicas", "--replicas needs a value"),
    ("login --token abc", "a token of the hub begins with hf_ and has no spaces"),
    ("config --jsn", "unknown option --jsn; did you mean --json?"),
    ("update-check now", "unexpected argument 'now'"),
    ("mistralrs run -m a --format exl2", "--format exl2: must be plain, gguf or ggml"),
]


@pytest.mark.parametrize(("line", "said"), USAGE)
def test_wrong_usage_names_the_option_the_value_and_the_way_out(
    run: Run, line: str, said: str
) -> None:
    status, out, err = run(*line.split())
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.endswith(f"(tramontane {line.split()[0]} --help)\n")
    assert err.count("\n") == 1


def test_every_command_has_a_row_here() -> None:
    looked_at = {line.split()[0] for line, _ in USAGE}
    assert {*BUILT_IN} - looked_at == {"models", "doctor", "completion"}


@pytest.mark.parametrize(
    "name", ["run", "bench", "perplexity", "inspect", "verify", "warmup", "pull"]
)
def test_the_model_is_an_argument_too(run: Run, tmp_path: Path, name: str) -> None:
    more = ("-i", "x") if name == "run" else ("-f", __file__) if name == "perplexity" else ()
    for given in (("nothing-here",), ("-m", "nothing-here")):
        status, out, err = run(name, *given, *more)
        assert (status, out) == (1, "")
        assert err.startswith("error: no model 'nothing-here'")


def test_a_text_in_the_place_of_the_model_says_where_it_goes(run: Run) -> None:
    for line, status in (("tell me a story", 2), ("hello", 1)):
        done = run("run", line, "-n", "1", piped=b"x")
        assert done[0] == status
        assert "a text to answer goes after -i" in done[2]


def test_texts_and_models_are_arguments_together(run: Run, model: Path, tmp_path: Path) -> None:
    expected = run("tokenize", "-m", model, "ab", "--json")
    assert expected[0] == 0
    for line in (
        (model, "ab", "--json"), (model, "--json", "ab"), (model, "-i", "ab", "--json"),
        ("--json", model, "--prompt", "ab"),
    ):  # fmt: skip
        assert run("tokenize", *line) == expected
    (tmp_path / "text").write_text("a text of some length, " * 2)
    expected = run("perplexity", "-m", model, "-f", tmp_path / "text")
    assert expected[0] == 0
    assert run("perplexity", model, tmp_path / "text") == expected
    assert run("perplexity", model, "-f", tmp_path / "text") == expected
    once = ("--temperature", "0", "-n", "3", "--quiet")
    assert run("run", model, "-p", "hi", *once) == run("run", "-m", model, "-i", "hi", *once)


def test_help_shows_what_matters_and_help_all_the_rest(run: Run) -> None:
    for name in commands():
        few, every = run(name, "--help")[1], run(name, "--help-all")[1]
        options = [len(set(re.findall(r"^  (-\S+)", text, re.MULTILINE))) for text in (few, every)]
        assert options[0] <= 22, name
        if f"more options: tramontane {name} --help-all" not in few:
            assert few == every, name
        else:
            assert options[0] < options[1], name
    assert "--xtc-threshold" in run("run", "--help-all")[1]
    assert "--xtc-threshold" not in run("run", "--help")[1]


FORMS = {
    "threads": ("-t", "--threads"),
    "model": ("-m", "--model"),
    "verbose": ("-v", "--verbose"),
    "hf-cache": ("--hf-cache", "--cache-dir"),
    "max-tokens": ("-n", "--max-tokens"),
    "force": ("--force",),
}


@pytest.mark.parametrize("name", commands())
def test_an_option_has_the_same_forms_in_every_command(run: Run, name: str) -> None:
    lines = re.findall(r"^  (-.*?)(?:  .*)?$", run(name, "--help-all")[1], re.MULTILINE)
    shown = [tuple(re.findall(r"(?<![\w-])--?[a-z][\w-]*", line)) for line in lines]
    for option, forms in FORMS.items():
        assert [found for found in shown if f"--{option}" in found] in ([], [forms]), name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ps", "nothing runs in the background"),
        ("completions", "shell is missing"),
        ("download", "tramontane pull MODEL"),
        ("pul", "did you mean 'pull'?"),
    ],
)
def test_words_of_other_tools_have_a_hint(run: Run, line: str, message: str) -> None:
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_names_of_other_tools_are_commands(run: Run) -> None:
    assert run("version") == run("--version")
    assert run("ls") == run("list")
    assert run("chat", "--help") == run("run", "--help")
    shown, inspected = (
        re.sub(r"[\d.]+ \wB of memory free", "", run(*words)[1])
        for words in (("show", "embedded"), ("inspect", "-m", "embedded"))
    )
    assert shown == inspected


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_verbose_adds_a_traceback(run: Run, option: str) -> None:
    status, _, err = run("run", option, "-i", "x", "-m", "nothing-here")
    assert status == 1
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: no model 'nothing-here'")


@pytest.mark.parametrize("device", ["gpu", "vulkan", "npu:1"])
def test_a_device_that_is_not_there_says_which_are(run: Run, device: str) -> None:
    status, _, err = run("run", "-i", "x", "--device", device)
    assert status == 1
    assert "no plugin that is installed, or known here" in err
    assert re.search(r"devices: auto, .*\bcpu, ", err)
    assert "did you mean" not in err
    assert "did you mean 'cpu'" in run("run", "-i", "x", "--device", "cpuu")[2]


def test_a_folder_of_models_names_them(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "folders" / "one").mkdir(parents=True)
    (tmp_path / "folders" / "one" / "config.json").write_text("{}")
    (tmp_path / "folders" / "two").mkdir()
    (tmp_path / "folders" / "two" / "a.gguf").write_bytes(b"GGUF")
    (tmp_path / "folders" / "three").mkdir()
    for arguments in (("inspect",), ("run", "-i", "x", "-m")):
        status, _, err = run(*arguments, tmp_path / "folders")
        assert status == 1
        assert f"{tmp_path}/folders/one, {tmp_path}/folders/two/a.gguf\n" in err
        assert "three" not in err


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_alone_say_what_is_missing(run: Run, tmp_path: Path, name: str) -> None:
    # a file of safetensors without a tensor; the other is not looked into
    (tmp_path / name).write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    for what in (tmp_path, tmp_path / name):
        status, _, err = run("inspect", what)
        assert status == 1
        assert "config.json" in err
        assert "copy it, and the tokenizer's files, from where the weights are from" in err


@pytest.mark.parametrize("text", ["é日a", "a"])
def test_tokenize_shows_text_and_halves_of_it(run: Run, text: str) -> None:
    _, out, err = run("tokenize", text)
    shown = [line.split(maxsplit=1)[1] for line in out.splitlines()]
    halves = [rf"b'\x{byte:02x}'" for byte in "é日".encode()] if len(text) > 1 else []
    assert shown == [*halves, "'a'"]
    assert err == ("6 tokens\n" if halves else "1 token\n")


@pytest.mark.parametrize("target", ["none/x.session", ""])
def test_a_session_that_cannot_be_saved_names_no_temporary_file(
    run: Run, tmp_path: Path, target: str
) -> None:
    status, _, err = run(
        "run", "-i", "x", "-n", "1", "--quiet", "--save-session", tmp_path / target
    )
    assert status == 1
    said = "No such file or directory" if target else "Is a directory"
    assert err == f"error: cannot save the session to {tmp_path / target}: {said}\n"


def test_perplexity_takes_its_text_with_or_without_an_option(
    run: Run, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("a text of some length, " * 2)
    found = {run("perplexity", "-m", model, *way, tmp_path / "text") for way in ((), ("-f",))}
    assert len(found) == 1
    assert next(iter(found))[0] == 0
