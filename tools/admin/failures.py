"""What goes wrong, in words for whoever typed the command: what is so, and what to do next.

Owns the errors of this package. Rules: every AdminError carries a way out; a UsageError is about
the words of the command line alone.
"""


class AdminError(Exception):
    """There is a problem; exit code 1."""

    def __init__(self, text: str, way_out: str) -> None:
        super().__init__(text)
        self.text = text
        self.way_out = way_out
        """What to do next."""


class UsageError(Exception):
    """The command line makes no sense; exit code 2."""


class UnreachableError(AdminError):
    """A node does not answer."""


class ReplyError(AdminError):
    """A node answered with an error; `reply` is the node's own text."""

    def __init__(self, place: str, command: str, reply: str, way_out: str) -> None:
        super().__init__(f"{place} refuses {command}: {reply}", way_out)
        self.reply = reply

    @property
    def kind(self) -> str:
        """The first word of the reply, such as MOVED or BUSYKEY."""
        return self.reply.partition(" ")[0]
