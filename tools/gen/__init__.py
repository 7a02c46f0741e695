"""Files that are computed from the declarations."""
