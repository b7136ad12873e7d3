"""A ring of ranks over TCP.

`config`: the file that says which rank a process is. `find`: what core is told by it. `ring`: the
group. `speed`: shares by what was measured.
"""
