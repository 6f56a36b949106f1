"""Floor 5: what people and machines look at. Parse, call, render, exit; no logic."""
