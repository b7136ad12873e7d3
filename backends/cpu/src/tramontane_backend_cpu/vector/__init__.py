"""Registers in Python: numba types that stand for LLVM vectors, and the operations on them."""
