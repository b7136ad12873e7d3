"""A model's step as a flat list of kernel calls on fixed buffers, run without Python."""
