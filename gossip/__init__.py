"""The cluster brain and its binary bus protocol, without any I/O.

`core.GossipCore` is the brain, `outputs.Outputs` what it wants done; `frame` and `wire` turn bytes
into `messages` and back; `nodes_conf` is what has to be on disk. `README.md` is the guided tour.
"""
