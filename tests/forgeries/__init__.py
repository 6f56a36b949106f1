"""A public set of wrong runs: evidence forged from one good run, and three who must refuse it."""
