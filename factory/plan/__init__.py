"""Plan what will run: action keys, the planner, the frozen plan."""
