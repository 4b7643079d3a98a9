"""The error that all three packages raise for what a person can mend, and the notice for what they need not."""


class UserError(Exception):
    """A failure that a person can mend: its message names the value, the limit and the next step."""


class DataNotice(UserWarning):
    """Something in the data that was mended by itself, and that a person may want to know."""
