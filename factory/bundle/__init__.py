"""A bundle as files: how it is made, and how it is checked against its contract."""
