"""Benchmarks that print ratios against redis-server."""
