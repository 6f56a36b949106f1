"""Fault injection: the real commands, killed or failed by the disk at every operation that they
make.
"""
