"""Give logs and archives a form that does not change from run to run."""
