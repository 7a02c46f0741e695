"""The same generated commands to Clustrio and to a real server; every reply must agree."""
