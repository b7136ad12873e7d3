"""RWKV-7 for Tramontane."""
