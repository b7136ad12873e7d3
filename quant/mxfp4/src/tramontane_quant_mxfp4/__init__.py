"""MXFP4 as gpt-oss has it."""
