"""Tests of Clustrio; `support` holds what they share."""
