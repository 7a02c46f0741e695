"""Keys and slots on their way to another node: the decisions; sockets are the runtime's.

`transfers` is MIGRATE (single keys, to any Redis), `locks` keeps clients away from keys that are
under way. `exports` and `imports` are the two ends of atomic slot migration, `jobs` what an
operator sees of it, and `handoff` joins them to the cluster.
"""
