"""The laws of this repository, as checks."""
