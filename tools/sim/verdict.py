"""What a run comes to.

Owns the exceptions by which a run ends early, and the verdicts with their exit codes.
"""

import enum


class Verdict(enum.IntEnum):
    """How a run ended; the values are exit codes (2 is for wrong usage)."""

    OK = 0
    UNSAFE = 1
    STUCK = 3


class Violation(Exception):  # noqa: N818 - it is what it says
    """A promise was broken."""

    def __init__(self, checker: str, text: str) -> None:
        super().__init__(f"{checker}: {text}")
        self.checker = checker
        self.text = text


class NotConverged(Exception):  # noqa: N818 - it is what it says
    """A healthy cluster did not come to rest in time."""

    def __init__(self, checker: str, text: str) -> None:
        super().__init__(f"{checker}: {text}")
        self.checker = checker
        self.text = text
