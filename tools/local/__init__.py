"""Clusters on this machine, made to be broken: `LocalCluster` and all behind it.

`cluster.py` is what people use; `shape.py` plans, `ports.py` holds the ports, `threads.py` and
`processes.py` run the nodes, `relay.py` stands between them, and `scripted.py` puts words into
their mouths.
"""
