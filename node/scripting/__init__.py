"""Lua 5.1 for scripts: a sandbox from which neither Python nor the machine can be reached."""
