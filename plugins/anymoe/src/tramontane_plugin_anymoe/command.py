"""`tramontane anymoe`: train the gate of a mixture of experts, and show what it chooses."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.cli.options import add_model, add_threads, hub_options, open_llm
from tramontane.cli.parser import Parser, at_least
from tramontane.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tramontane import LLM

    from .toml_file import Selector
    from .train import Plan

SUMMARY = """\
Train a gate that chooses, for each prompt, among experts of a model. Experts are fine-tuned models
of its own architecture, or LoRA adapters; the model itself is one of them."""
EXAMPLES = """\
examples:
  tramontane anymoe train org/name --expert org/expert --dataset rows.json --output mixture
  tramontane anymoe train -f anymoe_lora.toml --output mixture
  tramontane anymoe choose org/name --anymoe mixture -i "What is a wind?"
  tramontane run org/name --anymoe mixture -i "What is a wind?"
"""


def run(argv: list[str]) -> int:
    """`train` or `choose`."""
    known = {"train": _train, "choose": _choose}
    if argv and argv[0] in known:
        return known[argv[0]](argv[1:])
    parser = Parser(
        "tramontane anymoe",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command", choices=sorted(known), help="train a gate, or show what one chooses for a text"
    )
    parser.parse_args(argv[:1])
    raise UsageError("tramontane anymoe train, or tramontane anymoe choose")


def _train(argv: list[str]) -> int:
    options = _train_options(argv)
    selector = None
    if options.file is not None:
        from .toml_file import read_selector

        selector = read_selector(options.file)
    plan, values = _merged(options, selector)
    if options.loss_csv is not None and options.loss_csv.suffix != ".csv":
        raise UsageError(f"--loss-csv {options.loss_csv} should end in .csv")
    from .dataset import read_dataset, unused
    from .training import TrainingOptions, write_losses

    training = TrainingOptions(**values)
    rows = []
    if plan.gates is None:
        if options.dataset is None:
            raise UsageError("--dataset is missing: a JSON file with prompts and their experts")
        rows = read_dataset(options.dataset, 1 + len(plan.experts))
        if training.epochs and (without := unused(rows, 1 + len(plan.experts))):
            named = ", ".join(map(str, without))
            print(f"no row of {options.dataset} is of expert {named}", file=sys.stderr)
    with open_llm(options) as llm:
        from .train import build_mixture, write_mixture

        _refuse_other_size(llm, selector)
        shown = _Shown(quiet=options.quiet)
        settings, gates, trained = build_mixture(
            llm, plan, rows, training, base=llm.inner.name, told=shown,
            hub=replace(hub_options(options), revision=None),
        )  # fmt: skip
        shown.done()
        write_mixture(settings, gates, options.output)
    if trained is not None and options.loss_csv is not None:
        write_losses(trained.losses, settings.layers, options.loss_csv)
    told: dict[str, Any] = {
        "output": str(options.output), "layers": list(settings.layers), "experts": settings.count,
    }  # fmt: skip
    if trained is not None:
        told["loss"] = settings.training["loss"]
        told["right"] = round(sum(trained.right) / len(trained.right), 4)
    if options.json:
        print(json.dumps(told))
        return 0
    said = f"{options.output}: {settings.count} experts in {len(settings.layers)} layers"
    if trained is not None:
        said += f", loss {told['loss']:.4f}, {100 * told['right']:.0f} % of the rows chosen right"
    print(said)
    return 0


def _train_options(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        "tramontane anymoe train",
        conflict_handler="resolve",
        description="Train the gates, and write a folder for --anymoe. The model's and the experts'"
        " weights stay as they are.",
    )
    parser.add_argument(
        "--expert", action="append", default=[], metavar="SOURCE",
        help="a fine-tuned model of the same architecture, or a LoRA adapter: a folder, a file or "
        "org/name; repeatable: the first is expert 1, the model itself is 0",
    )  # fmt: skip
    parser.add_argument(
        "--dataset", type=Path, metavar="FILE",
        help='{"rows": [{"prompt": "...", "expert": 0}]}, with "image_urls" for models that take '
        "images",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="what to write")
    parser.add_argument(
        "-f", "--file", type=Path, metavar="FILE",
        help="a TOML file with [anymoe], as mistral.rs has them; options here go before it",
    )  # fmt: skip
    parser.add_argument(
        "--layers", type=_numbers, metavar="N,...", help="layers that have experts; default: all"
    )
    parser.add_argument(
        "--target-modules", type=lambda text: tuple(text.split(",")), metavar="NAME,...",
        help="matrices of adapters that count: gate_proj, up_proj, down_proj; default: all three",
    )  # fmt: skip
    parser.add_argument(
        "--per-token",
        action="store_true",
        help="each token has an expert of its own; without, each prompt has",
    )
    parser.add_argument("--lr", type=float, metavar="X", help="learning rate; default: 0.001")
    parser.add_argument("--epochs", type=at_least(1), metavar="N", help="default: 100")
    parser.add_argument(
        "--gate-hidden", type=at_least(0), default=0, metavar="N",
        help="size of the gates' hidden layer; 0: none",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and the order")
    parser.add_argument(
        "--loss-csv", type=Path, metavar="FILE", help="write the loss of each step and layer"
    )
    parser.add_argument(
        "--gate", type=Path, metavar="FILE",
        help="do not train: take the gates of this gate.safetensors",
    )  # fmt: skip
    parser.add_argument(
        "--no-template", action="store_true", help="prompts are plain text, not chats"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    add_model(parser)
    add_threads(parser)
    parser.add_argument(
        "--batch-size", type=at_least(1), metavar="N", dest="rows_per_step",
        help="rows of a training step; default: 4",
    )  # fmt: skip
    parser.set_defaults(model=None, batch_size=512)
    return parser.parse_args(argv)


def _merged(options: argparse.Namespace, selector: Selector | None) -> tuple[Plan, dict[str, Any]]:
    """What to make, and the values of `TrainingOptions`; the file's where no option says. Sets
    `model`, `dataset`, `output` and `loss_csv` of the options. Raises UsageError."""
    from .train import Plan

    values = {
        "lr": options.lr, "epochs": options.epochs, "batch_size": options.rows_per_step,
    }  # fmt: skip
    values = {key: value for key, value in values.items() if value is not None}
    values |= {"seed": options.seed, "gate_hidden": options.gate_hidden}
    values["per_token"] = options.per_token
    experts, layers = tuple(options.expert), options.layers
    modules, gates = options.target_modules, options.gate
    if selector is not None:
        values = {**selector.values, **values}
        experts = experts or selector.experts
        layers = layers if layers is not None else selector.layers
        modules = modules or selector.target_modules
        options.model = options.model or selector.model
        options.dataset = options.dataset or selector.dataset
        options.loss_csv = options.loss_csv or selector.loss_csv
        if selector.gate is not None and selector.trains:
            options.output = options.output or Path(selector.gate)
        if not selector.trains and gates is None:
            if selector.gate is None:
                raise UsageError(f"{options.file}: training is false, and gate_model_id is missing")
            gates = Path(selector.gate) / "gate.safetensors"
        _refuse_other_adapters(options.file, selector, experts)
    if options.model is None:
        raise UsageError("name a model: tramontane anymoe train MODEL --expert SOURCE ...")
    if not experts:
        raise UsageError("--expert is missing: a fine-tuned model, or a LoRA adapter")
    if options.output is None:
        raise UsageError("--output is missing: the folder to write")
    template = not options.no_template
    return Plan(experts, layers, modules, template, gates), values


def _refuse_other_adapters(file: Path, selector: Selector, experts: tuple[str, ...]) -> None:
    """What a file says of adapters, and what the adapters say."""
    from tramontane.tokenizer.json_file import read_if_there

    for source in experts:
        told = read_if_there(Path(source) / "adapter_config.json")
        for key, name in (("rank", "r"), ("alpha", "lora_alpha")):
            value = getattr(selector, key)
            if value is not None and told.get(name) is not None and told[name] != value:
                raise UsageError(
                    f"{file}: {key} is {value}, and {source} says {name} {told[name]}: the "
                    f"adapter's own counts; leave {key} out, or correct it"
                )


def _refuse_other_size(llm: LLM, selector: Selector | None) -> None:
    own = llm.inner.loaded.config.hidden_size
    if selector is not None and selector.hidden_size not in (None, own):
        raise ConfigError(
            f"hidden_size is {selector.hidden_size} in the file, and the model's {own}"
        )


def _choose(argv: list[str]) -> int:
    parser = Parser(
        "tramontane anymoe choose",
        description="Show which expert each layer has for a text; 0 is the model itself.",
    )
    parser.add_argument("-i", "--input", metavar="TEXT", help="the text of the user")
    parser.add_argument("--anymoe", type=Path, metavar="FOLDER", help="the mixture")
    parser.add_argument(
        "--no-template", action="store_true", help="the text is plain text, not a chat"
    )
    add_model(parser)
    add_threads(parser)
    options = parser.parse_args(argv)
    if options.input is None or options.anymoe is None:
        raise UsageError(
            "give a text and a mixture: tramontane anymoe choose MODEL --anymoe FOLDER -i TEXT"
        )
    with open_llm(options, adapters={"mixture": str(options.anymoe)}) as llm:
        from .train import choice

        chosen = choice(llm, "mixture", options.input, template=not options.no_template)
    print(", ".join(f"layer {layer}: {expert}" for layer, expert in chosen.items()))
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(each) for each in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: not numbers of layers, such as 0,1,2") from None


class _Shown:
    """A line on a terminal while it takes long; elsewhere a line now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._terminal = quiet, sys.stderr.isatty()
        self._last: tuple[str, int] = ("", -1)

    def __call__(self, what: str, done: int, total: int, said: str) -> None:
        tenth = 10 * done // max(total, 1)
        if self._quiet or (self._last == (what, tenth) and not self._terminal):
            return
        self._last = what, tenth
        text = f"{what} {done}/{total}" + (f", {said}" if said else "")
        if self._terminal:
            print(f"\r\033[K{text} ", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr)

    def done(self) -> None:
        if self._terminal and not self._quiet:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
