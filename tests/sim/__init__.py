"""Tests of the simulator, and by it of the cluster brain."""
