"""The checks. Their names do not begin with `test_`: they are collected only when asked for."""
