"""One model computed by several processes, the ranks.

`group`: what they exchange numbers with, and the error when one of them is gone. `meeting`: what a
rank is told to join one. `interconnect`: which there are, by name. `combine`: results made of every
rank's part. `torch_group`: a group over torch.distributed.
"""
