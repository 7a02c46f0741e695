"""`clustrio cluster`: look at clusters and change them, of whatever servers they are made.

One module per subcommand, named as it. The shared parts: `cli` (the table), `options`, `screen`
(output), `connection`, `topology` (who is there), `waiting`, `moving` (slots), `failures`.
"""
