"""Decide what the user lets a repository have: requests of contracts, and grants."""
