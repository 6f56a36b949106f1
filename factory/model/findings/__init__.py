"""List the catalogue of findings, a table for each subject."""
