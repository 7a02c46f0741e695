"""What can go wrong with a local cluster, in words that say why."""


class LocalClusterError(Exception):
    """A local cluster cannot do what was asked; the text says why."""


class NodeStartError(LocalClusterError):
    """A node did not start; the text holds the end of its log."""


class NodeDownError(LocalClusterError):
    """A node that was asked something is not running, or paused."""


class NotSupportedError(LocalClusterError):
    """This kind of node cannot do that."""


class WaitTimeoutError(LocalClusterError):
    """Something did not come true in time; the text says what was missing to the end."""
