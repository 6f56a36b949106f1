"""Finds credentials in bytes and cuts them out. Imports nothing of the product."""
