"""`clustrio dump`: what is in the files of a node."""
