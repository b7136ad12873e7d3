"""A probe that raises where there is no driver."""


def probe() -> list[object]:
    raise OSError("libcareless.so: cannot open shared object file")
