"""Keys and slots on their way to another node: the decisions; sockets are the runtime's.

`transfers` is MIGRATE (single keys, to any Redis), `locks` keeps clients away from keys that are
under way, and `marks` tells replicas which slots are open. `exports` and `imports` are the two ends
of atomic slot migration, `guard` holds requests while slots change hands, `trimming` removes what
is another's by then, `jobs` is what an operator sees of it, and `coordinator` joins them to the
cluster.
"""
