"""Their commands and options as data, each with what becomes of it."""
