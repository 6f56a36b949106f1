"""Merge bundles: overlap, union, and role Z in its confined process."""
