"""Measurements of the project's own code: side by side in one run, medians and ratios."""
