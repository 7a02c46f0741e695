"""The cluster brain and its binary bus protocol, without any I/O."""
