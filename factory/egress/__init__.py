"""Run the egress proxy: the one way from a stage to the outside, and the record of who took it."""
