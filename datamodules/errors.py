"""The error that all three packages raise for what a person can mend; imports nothing."""


class UserError(Exception):
    """A failure that a person can mend: its message names the value, the limit and the next step."""
