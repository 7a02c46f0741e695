"""Every configuration directive, declared once, and the redis.conf syntax.

`Config()` has every default; `parse_command_line`, `configuration_text` and `Config.load` bring it
to what the operator wants; `get`, `set` and `rewrite` are the three CONFIG commands.
"""

from .kinds import MemoryOrPercent
from .special_kinds import HostAndPort, OutputLimit, OutputLimits, SavePoint
from .store import Config, Files
from .syntax import (
    CommandLine,
    CommandLineError,
    ConfigError,
    ConfigFileError,
    Mode,
    UnreadableFileError,
    configuration_text,
    parse_command_line,
)

__all__ = [
    "CommandLine",
    "CommandLineError",
    "Config",
    "ConfigError",
    "ConfigFileError",
    "Files",
    "HostAndPort",
    "MemoryOrPercent",
    "Mode",
    "OutputLimit",
    "OutputLimits",
    "SavePoint",
    "UnreadableFileError",
    "configuration_text",
    "parse_command_line",
]
