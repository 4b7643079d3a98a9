"""The page of a suite, a site of its own: its text, its pictures and its curves."""
