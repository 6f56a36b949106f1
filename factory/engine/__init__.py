"""Run the pipeline of a repository, and let doit drive it."""
