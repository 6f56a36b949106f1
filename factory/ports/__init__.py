"""Floor 2: what phases need from the outside world, as small protocols."""
