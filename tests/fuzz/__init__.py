"""Broken bytes at the ports."""
