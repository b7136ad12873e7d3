"""The command line as a user meets it: what it prints, what it refuses, what it keeps."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tramontane.cli.main import BUILT_IN

from .tiny import write_model

Run = Callable[..., tuple[int, str, str]]


def test_help_names_every_command(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for name in BUILT_IN:
        assert f"  {name} " in out


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_every_command_explains_itself(run: Run, name: str) -> None:
    status, out, _ = run(name, "--help")
    assert status == 0
    assert out.startswith(f"usage: tramontane {name}")


def test_the_embedded_model_tells_a_story(run: Run) -> None:
    status, out, err = run("run", "-i", "Tell me a story", "--seed", "1")
    assert status == 0
    assert len(out.split()) > 60
    assert "t/s" in err
    assert run("run", "-i", "Tell me a story", "--seed", "1", "--quiet") == (0, out, "")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("hello", "story"),
        ("how do I install a plugin?", "pip install tramontane-"),
        ("how do I serve a model?", "tramontane serve"),
    ],
)
def test_the_embedded_model_answers(run: Run, question: str, said: str) -> None:
    _, out, _ = run("run", "-i", question, "--temperature", "0", "--quiet")
    assert said in out


def test_one_shot_ways_to_give_the_prompt(run: Run, model: Path, tmp_path: Path) -> None:
    options = ("-m", model, "--temperature", "0", "-n", "8", "--ignore-eos", "--quiet")
    _, by_option, _ = run("run", "-i", "hello", *options)
    assert run("run", *options, piped=b"hello")[1] == by_option
    template = tmp_path / "ask.txt"
    template.write_text("he{{PROMPT}}")
    assert run("run", "--prompt-file", template, "-i", "llo", *options)[1] == by_option
    assert run("run", "--prompt-file", template, *options, piped=b"llo")[1] == by_option
    _, raw, _ = run("run", "-i", "hello", "--no-template", *options)
    assert raw.startswith("hello")


def test_json_has_everything(run: Run, model: Path) -> None:
    status, out, err = run(
        "run", "-m", model, "-i", "x", "--json", "-n", "3", "--ignore-eos", "--logprobs", "2"
    )
    answer = json.loads(out)
    assert (status, err) == (0, "")
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == len(answer["token_ids"]) == 3
    assert len(answer["logprobs"][0]["top"]) == 2
    again = run(
        "run", "-m", model, "-i", "x", "--json", "-n", "3", "--ignore-eos",
        "--seed", str(answer["seed"]),
    )  # fmt: skip
    assert json.loads(again[1])["token_ids"] == answer["token_ids"]


def test_the_model_has_the_name_that_was_asked_for(run: Run, model: Path) -> None:
    for given, name in (((), "embedded"), (("embedded",), "embedded"), ((model,), str(model))):
        _, out, _ = run("run", *given, "-i", "x", "--json", "-n", "1")
        assert json.loads(out)["model"] == name


def test_figures_have_the_wait_and_the_context(run: Run) -> None:
    _, _, err = run("run", "-i", "x", "-n", "1")
    assert err.startswith("[ready in ")
    assert " of 512" in err


def test_nothing_is_printed_for_a_request_that_is_refused(run: Run) -> None:
    status, out, err = run("run", "--no-template", "-i", "x " * 600)
    assert (status, out) == (1, "")
    assert err.startswith("error: the prompt has")


@pytest.mark.parametrize(
    ("schema", "hint"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, True),
        ({"properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, True),
        (
            {
                "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        ({"type": "integer"}, False),
    ],
)  # fmt: skip
def test_a_schema_that_allows_more_than_it_seems_has_a_hint(
    run: Run, schema: dict[str, object], hint: bool
) -> None:
    options = ("run", "-i", "x", "--json-schema", json.dumps(schema), "-n", "2")
    assert run(*options)[2].startswith("hint: ") is hint
    assert run(*options, "--quiet")[2] == ""


def test_sampling_options_reach_the_chain(run: Run, model: Path) -> None:
    common = ("run", "-m", model, "-i", "x", "-n", "4", "--ignore-eos", "--json")
    _, greedy, _ = run(*common, "--temperature", "0")
    _, chain, _ = run(*common, "--sampler", "top_k:k=1")
    assert json.loads(chain)["token_ids"] == json.loads(greedy)["token_ids"]
    _, biased, _ = run(*common, "--temperature", "0", "--token-bias", "65=100")
    assert set(json.loads(biased)["token_ids"]) == {65}
    first = json.loads(greedy)["token_ids"][0]
    _, without, _ = run(*common, "--temperature", "0", "--suppress-token", first)
    assert first not in json.loads(without)["token_ids"]


def test_rope_options_change_the_model(run: Run, model: Path) -> None:
    common = ("run", "-m", model, "-i", "some text", "-n", "6", "--temperature", "0", "--json")
    plain = json.loads(run(*common)[1])["token_ids"]
    assert json.loads(run(*common, "--rope-freq-base", "50")[1])["token_ids"] != plain
    assert json.loads(run(*common, "--rope-freq-scale", "0.1")[1])["token_ids"] != plain
    assert json.loads(run(*common, "--rope-freq-scale", "1")[1])["token_ids"] == plain
    assert json.loads(run(*common, "--no-mmap", "--batch-size", "3")[1])["token_ids"] == plain


def test_session_goes_on_where_it_was(run: Run, model: Path, tmp_path: Path) -> None:
    session = tmp_path / "s.session"
    options = ("-m", model, "-n", "6", "--temperature", "0", "--ignore-eos", "--json")
    run("run", "-i", "first", "--persist-session", session, *options)
    _, second, _ = run("run", "-i", "second", "--persist-session", session, *options)
    answer = json.loads(second)
    assert answer["usage"]["cached_tokens"] > 10
    fresh = json.loads(run("run", "-i", "second", *options)[1])
    assert answer["usage"]["prompt_tokens"] > fresh["usage"]["prompt_tokens"]
    loaded = run("run", "-i", "third", "--load-session", session, *options)
    assert json.loads(loaded[1])["usage"]["cached_tokens"] > answer["usage"]["cached_tokens"]


def test_session_of_another_model_is_refused(run: Run, model: Path, tmp_path: Path) -> None:
    session = tmp_path / "s.session"
    run("run", "-i", "hello", "-n", "3", "--save-session", session)
    before = session.read_bytes()
    status, _, err = run("run", "-m", model, "-i", "x", "--load-session", session)
    assert (status, "another model" in err) == (1, True)
    options = ("-i", "x", "-n", "1", "--quiet", "--load-session", session)
    status, _, err = run("run", *options, "--kv-type", "f32")
    assert (status, "give --kv-type bf16" in err or "give --kv-type f16" in err) == (1, True)
    assert run("run", *options, "--dtype", "f32")[2] == err
    for damage in (before[:100], before[: len(before) // 2], b"no session at all"):
        session.write_bytes(damage)
        status, out, err = run("run", "-i", "x", "--load-session", session)
        assert (status, out) == (1, "")
        assert "not a complete session" in err
        assert len(err.strip().splitlines()) == 1


def test_session_that_cannot_be_written_keeps_the_old(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "s.session"
    run("run", "-i", "hello", "-n", "3", "--save-session", session)
    before = session.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tramontane.engine.session_file.save_file", full)
    status, _, err = run("run", "-i", "hello", "-n", "3", "--save-session", session)
    assert status == 1
    assert "No space left" in err
    assert session.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [session.name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "-m", "nothing-here", "-i", "x"), "nothing-here"),
        (("run", "-i", "x", "--sampler", "topp:0.9/nosuch"), "nosuch"),
        (("run", "-i", "x " * 600), "the context 512"),
        (("run", "--prompt-file", "no-such-file"), "no-such-file"),
        (("run", "-i", "x", "--device", "abacus"), "abacus"),
        (("run", "--json"), "input is empty"),
        (("run", "-i", "x", "--load-session", "no-such-session"), "no-such-session"),
        (("run", "-i", "x", "--chat-template", "none.jinja"), "none.jinja"),
        (("perplexity", "-f", "no-such-file"), "no-such-file"),
        (("inspect", "no-such-model"), "no-such-model"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    status, out, err = run(*arguments)
    assert status == 1
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_unknown_command_is_told_what_it_may_have_meant(run: Run) -> None:
    assert run("inspct")[0] == 2
    assert "did you mean 'inspect'" in run("inspct")[2]


def test_a_model_without_a_template_names_the_way_out(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    write_model(folder)
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|end|>"}')
    for name in ("chat_template.jinja", "chat_template.json"):
        (folder / name).unlink(missing_ok=True)
    status, _, err = run("run", "-m", folder, "-i", "x")
    assert status == 1
    assert "--no-template" in err


def test_piped_bytes_that_are_no_text(run: Run, model: Path) -> None:
    status, _, err = run("run", "-m", model, piped=b"\xff\xfe")
    assert (status, "not UTF-8" in err) == (1, True)


def test_tokenize_and_inspect(run: Run, model: Path) -> None:
    _, out, _ = run("tokenize", "-m", model, "ab", "--json")
    assert json.loads(out)["pieces"] == ["a", "b"]
    _, piped, _ = run("tokenize", "-m", model, piped=b"ab")
    assert "'a'" in piped
    _, out, _ = run("inspect", model, "--json")
    told = json.loads(out)
    assert told["served_by"] == "tramontane-arch-llama"
    assert told["bytes"] == sum(tensor["bytes"] for tensor in told["tensors"].values())
    assert told["bytes_on_disk"] == sum(file.stat().st_size for file in model.iterdir())
    _, text, _ = run("inspect", model, "--tensors")
    assert "model.layers.1.mlp.up_proj.weight" in text
    assert re.search(r"^tool calls +none known$", text, re.MULTILINE)
    assert re.search(r"^chat template +roles .*user, assistant", text, re.MULTILINE)
    _, text, _ = run("inspect", "embedded")
    assert re.search(r"^tool calls +hermes$", text, re.MULTILINE)
    assert "roles system, user, assistant, tool; variables tools\n" in text
    assert "{%" not in text


def test_perplexity_does_not_depend_on_windows_of_one_text(
    run: Run, model: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.write_text("a text of some length, " * 8)
    whole = json.loads(run("perplexity", "-m", model, "-f", text, "--json")[1])
    assert whole["tokens"] == 8 * 23 - 1
    small = ("--num-ctx", "64", "--stride", "16", "--json")
    strided = json.loads(run("perplexity", "-m", model, "-f", text, *small)[1])
    assert strided["tokens"] == whole["tokens"]
    assert strided["perplexity"] != whole["perplexity"]
    assert 1 < whole["perplexity"] < 1e6


def test_published_perplexity(run: Run, tmp_path: Path) -> None:
    data = Path(__file__).parents[2] / "shared" / "data"
    weights = data / "weights/TinyStories-656K"
    if not weights.exists():
        pytest.skip(f"no real weights: {weights} is absent")
    expected = json.loads((data / "derived/tinystories_656k_perplexity.json").read_text())
    record = expected["TinyStories-656K"]["fp32"]
    stories = (data / expected["file"]).read_text().split("<|endoftext|>")
    text = tmp_path / "story"
    for story, (length, nll) in zip(stories, record["per_story_[len,nll]"], strict=False):
        text.write_text(story.strip())
        _, out, _ = run("perplexity", "-m", weights / "fp32", "-f", text, "--json")
        told = json.loads(out)
        assert told["tokens"] == length - 1
        from math import log

        assert log(told["perplexity"]) * told["tokens"] == pytest.approx(nll, rel=1e-4)


def test_interrupt_of_one_answer_ends_the_program(model: Path) -> None:
    command = [sys.executable, "-m", "tramontane", "run", "-m", str(model), "-i", "x"]
    command += ["--ignore-eos", "--num-ctx", "4000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_warmup(run: Run) -> None:
    status, out, _ = run("warmup")
    assert status == 0
    assert "is ready on cpu" in out


def test_devices_are_listed(run: Run) -> None:
    status, said, _ = run("run", "--device", "list")
    assert status == 0
    assert "cpu: " in said
    assert "mkl: " in said
    assert "accelerate: " in said
