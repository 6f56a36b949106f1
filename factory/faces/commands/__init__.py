"""One module per kind of command: define the options, call, give an answer. No logic."""
