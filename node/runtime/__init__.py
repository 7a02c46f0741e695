"""All I/O of a node: sockets, clocks, disk and nurseries."""
