"""The conformance kit: what every plugin must pass, ours and a stranger's alike.

`pytest --tramontane DIST` runs it for everything that the installed distribution DIST offers.
"""
