"""Clustrio together with what it must get along with: redis-server nodes and client libraries."""
