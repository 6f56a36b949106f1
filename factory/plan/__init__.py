"""What will run: action keys, the planner, the plan."""
