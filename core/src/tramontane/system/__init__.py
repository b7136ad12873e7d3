"""This process and its machine: memory, devices, paths, background work, start-up."""
