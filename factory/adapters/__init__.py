"""Floor 3: one door per outside thing. Adapters carry out; they do not decide."""
