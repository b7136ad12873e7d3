"""What runs between the host and the program: it builds the view, sets the bounds, and watches.

Only Python's standard library is imported here: these modules are run by a bare interpreter.
"""
