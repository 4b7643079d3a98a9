"""Which claims of the papers hold, by the published records: claims in YAML, a verdict on each, and their table.

Everything but reading and writing files is a pure function of claims and records.
"""
