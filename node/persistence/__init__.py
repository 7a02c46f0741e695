"""Data that outlives the process: snapshots, the append-only file, and what is pure about them."""
