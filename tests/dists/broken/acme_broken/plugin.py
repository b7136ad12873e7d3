"""Raises when it is imported, as a plugin does whose dependency is missing."""

import acme_dependency_that_nobody_has  # noqa: F401
