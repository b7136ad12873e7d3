"""Options that say which model it is, of both generations."""

from __future__ import annotations

from tramontane_plugin_mistralrs import values
from tramontane_plugin_mistralrs.option import Meant, Option, Own, Refused, To

SOURCE = Own(
    "`MODEL`, of `-m` and `-f` together: a folder, `FOLDER/FILE`, org/name, or org/name:FILE"
)
TEMPLATE_OF = Own(
    "`--chat-template`, of this folder or repository; the tokenizer is the one in the model's file"
)
ARCH = Own("`MODEL`, after a look at its config.json: another architecture than this is refused")
ORDER = "`--xlora-order`; of LoRA, the names of the adapters"

MODEL_ID = Option(("-m", "--model-id"), SOURCE, "MODEL", "org/name")
TOKENIZER_JSON = Option(
    ("-t", "--tokenizer", "--tokenizer-json"),
    Refused("a model's own tokenizer is used: put this file into the model's folder"),
    "FILE", "tokenizer.json",
)  # fmt: skip
DTYPE = Option(("-d", "--dtype"), To("dtype", values.dtype), "TYPE", "bf16")
TOPOLOGY = Option(("--topology",), To("topology"), "FILE", "topology.yml")
ORGANIZATION = Option(
    ("-o", "--organization"), To("isq_organization", values.organization), "KIND", "moqe"
)
ISQ_ORGANIZATION = Option(
    ("--isq-organization",), To("isq_organization", values.organization), "KIND", "moqe"
)
WRITE_UQFF = Option(
    ("-w", "--write-uqff"),
    Refused("UQFF files are read, not written: tramontane quantize MODEL OUT.gguf --to 4"),
    "FILE", "out.uqff",
)  # fmt: skip
FROM_UQFF = Option(("-f", "--from-uqff"), SOURCE, "FILE", "q4k-0.uqff")
IMATRIX = Option(("-i", "--imatrix"), To("imatrix"), "FILE", "model.imatrix")
CALIBRATION = Option(("--calibration-file",), To("calibration_file"), "FILE", "text.txt")
MAX_EDGE = Option(("-e", "--max-edge"), To("max_edge"), "N", "512")
MAX_NUM_IMAGES = Option(("--max-num-images",), To("max_num_images"), "N", "4")
MAX_IMAGE_LENGTH = Option(
    ("--max-image-length",),
    Refused("memory is planned for images as they come; --max-edge bounds them"),
    "N", "1024",
)  # fmt: skip
SIZED = "the context that memory is planned for, and the longest that is taken: `--num-ctx`"
MAX_SEQ_LEN = Option(("--max-seq-len",), To("num_ctx", said=SIZED), "N", "4096")
MAX_BATCH_SIZE = Option(
    ("--max-batch-size",),
    {
        "serve": To("max_seqs"),
        "": Meant("a chat generates one answer at a time, so 1 is what is planned for", ("1",)),
    },
    "N", "1",
)  # fmt: skip
HF_CACHE = Option(("--hf-cache", "--hf-cache-path"), To("hf_cache"), "DIR", "cache")
NO_MATFORMER = Refused("parts of a MatFormer model are not cut out: the whole model runs")
MATFORMER = (
    Option(("--matformer-config-path",), NO_MATFORMER, "FILE", "slices.csv"),
    Option(("--matformer-slice-name",), NO_MATFORMER, "NAME", "Config for E2.49B"),
)

TOK_MODEL_ID = Option(("-t", "--tok-model-id"), TEMPLATE_OF, "MODEL", "org/tokenizer")
QUANTIZED_MODEL_ID = Option(("-m", "--quantized-model-id"), SOURCE, "MODEL", "org/name")
QUANTIZED_FILENAME = Option(("-f", "--quantized-filename"), SOURCE, "FILE", "model.gguf")
GGQ = Meant("heads are grouped as the file says; one that does not say it has one group", ("1",))
GQA = Option(("-g", "--gqa"), GGQ, "N", "1")

XLORA_MODEL_ID = Option(("-x", "--xlora-model-id"), Own("`--lora xlora=...`"), "MODEL", "org/xlora")
XLORA_ORDER = Option(("-o", "--order"), Own(ORDER), "FILE", "order.json")
TGT = Option(("--tgt-non-granular-index",), To("tgt_non_granular_index"), "N", "16")
ADAPTERS = Option(
    ("-a", "--adapters-model-id", "--adapter-model-id"),
    Own("`--lora NAME=...`, merged into the weights where there are several"),
    "MODEL;...", "org/adapter",
)  # fmt: skip
