"""Tests of the slots package."""
