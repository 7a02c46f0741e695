"""Tests of the cluster brain and of its bus protocol."""
