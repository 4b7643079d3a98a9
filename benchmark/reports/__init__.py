"""What people read of the results: tables, comparisons, the papers' tables, method pages, the page of a suite.

Nothing here imports torch or Lightning.
"""
