"""Keys and slots on their way to another node."""
