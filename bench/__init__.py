"""Measure the budgets as ratios against a floor in one run: `python -m bench`.

Never imported by the project.
"""
