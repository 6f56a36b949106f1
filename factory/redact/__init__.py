"""Find credentials in bytes and cut them out. Imports nothing of the product."""
