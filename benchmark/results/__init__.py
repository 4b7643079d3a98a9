"""What was measured: records and how they are kept, statistics over them, and where they come from.

Nothing here imports torch or Lightning.
"""
