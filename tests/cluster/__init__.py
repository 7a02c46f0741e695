"""Clusters of real Clustrio processes: made, loaded, killed, restarted."""
