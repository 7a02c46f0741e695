"""What survives when the process or the disk fails in the middle."""
