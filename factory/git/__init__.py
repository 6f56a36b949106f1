"""Run Git, store objects, make views of a tree, scan layers, write bundle files."""
