"""One model computed by several processes, the ranks.

`group`: what they exchange numbers with, and the error when one of them is gone. `torch_group`: the
one over torch.distributed.
"""
