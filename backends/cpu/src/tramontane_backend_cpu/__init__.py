"""The CPU backend: kernels compiled by numba on the machine they run on."""
