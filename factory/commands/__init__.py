"""One module for each command: parse the options, call, answer."""
