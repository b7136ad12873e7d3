"""Which device has which of a model's modules, and how what they compute gets from one to another.

`asked`, `choose`, `automatic`: from options to a `Placement`, before a weight is read. `part`: what
a backend sees of it. `placed`, `hops`: a model that runs so.
"""
