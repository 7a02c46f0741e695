"""Which Redis this node imitates, and what it tells clients about itself."""

from .. import __version__

#: Clients and tools switch features by this number, so it names the Redis whose behaviour we
#: follow.
REDIS_VERSION = "7.2.5"
CLUSTRIO_VERSION = __version__
