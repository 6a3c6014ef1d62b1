"""A measurement that could not be made."""


class Failed(Exception):
    """The message says what happened, and what to do if that is known."""
