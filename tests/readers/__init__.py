"""Readers of statements by other people, which `nox -s readers` installs."""
