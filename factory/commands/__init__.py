"""Answer commands, one module for each: parse the options, call, answer."""
