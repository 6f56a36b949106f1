"""The pipeline of a repository, and how doit drives it."""
