"""What a model can be asked for besides text: one file for each task, with what a model's class
must have, options, results and the Python classes."""
