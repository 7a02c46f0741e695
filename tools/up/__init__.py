"""`clustrio up`, `down` and `status`: a local cluster from the shell."""
