"""Blocks of GGUF types from floats: what `--isq` and `tramontane quantize` make."""
