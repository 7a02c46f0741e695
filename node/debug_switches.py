"""What DEBUG switches for tests, beside the parts that have a switch of their own."""

from attrs import define


@define
class DebugSwitches:
    """The switches of one node."""

    #: Nothing is done regularly but waking the clients whose waiting is over.
    cron_is_paused: bool = False
    #: Checksums of serialized data are not looked at.
    skip_checksums: bool = False
    #: Scripts may run commands that are not for scripts.
    scripts_may_all: bool = False
