"""Command-line tools around a Clustrio node."""
