"""Models that optimum-quanto quantized."""
