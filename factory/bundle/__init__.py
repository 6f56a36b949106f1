"""Make a bundle as files, and check it against its contract."""
