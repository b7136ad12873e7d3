"""EXL3, a trellis-coded format of ExLlamaV3."""
