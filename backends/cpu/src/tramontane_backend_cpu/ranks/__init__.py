"""The ranks of one model on one machine exchange numbers through memory that they share.

`kernels`: what is compiled. `segment`: how the ranks meet and come by that memory. `shared`: the
group.
"""
