"""Metal kernels for Tramontane, from the source of those for OpenCL."""
