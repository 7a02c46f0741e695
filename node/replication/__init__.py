"""Replication: the stream of a primary, and what a replica makes of it. Pure: no sockets here."""
