"""Questions that name a model, a family, a format or a device, which their answers repeat."""

from __future__ import annotations

NAMED = (
    (("run {x}", "use {x}", "chat with {x}", "talk to {x}", "try {x}", "get {x}", "download {x}"),
     "Name a model of that family, from the hub or on your disk:\n\n    tramontane run -m "
     "ORG/NAME\n\n"
     "The family itself is a plugin: pip install tramontane-arch-{x}", "family"),
    (("run {x}", "chat with {x}", "use {x}", "load {x}", "start {x}", "talk to {x}", "open {x}",
    "try {x}"),
     "Like this:\n\n    tramontane run -m {x}", "model"),
    (("serve {x}", "start a server with {x}", "run a server for {x}", "serve {x} over http"),
     "Like this:\n\n    tramontane serve -m {x}\n\nThe command comes with a plugin: pip install "
     "tramontane-plugin-server",
     "model"),
    (("bench {x}", "benchmark {x}", "measure the speed of {x}", "see how fast {x} is"),
     "Like this:\n\n    tramontane bench -m {x}", "model"),
    (("inspect {x}", "look into {x}", "see what is in {x}", "see the metadata of {x}"),
     "Like this:\n\n    tramontane inspect {x}", "model"),
    (("measure the perplexity of {x}", "get the perplexity of {x}"),
     "Like this:\n\n    tramontane perplexity -m {x} -f FILE", "model"),
    (("tokenize with {x}", "count tokens with {x}"),
    "Like this:\n\n    tramontane tokenize -m {x} TEXT", "model"),
    (("use {x} from python", "load {x} in python"),
     'From Python:\n\n    from tramontane import LLM, SamplingParams\n    llm = LLM("{x}")\n'
     '    print(llm.chat("Hello").text)', "model"),
    (("install the {x} plugin", "install {x}", "add support for {x} models", "get the {x} family",
      "install the {x} architecture", "install the plugin for {x}"),
     "Model families are plugins, installed with pip:\n\n    pip install tramontane-arch-{x}",
     "family"),
    (("read {x} files", "use the {x} format", "install the {x} format", "add support for {x} files",
      "run {x} quantized models"),
     "File formats are plugins, installed with pip:\n\n    pip install tramontane-quant-{x}",
     "format"),
    (("use the {x} backend", "install the {x} backend", "run on {x}", "use {x} acceleration"),
     "Accelerators are plugins, installed with pip:\n\n    pip install tramontane-backend-{x}",
     "backend"),
)  # fmt: skip
