"""OpenCL kernels for Tramontane, and tensors of torch on OpenCL devices."""
