"""Products by a BLAS library in steps of this backend, for backends that stand on it."""
