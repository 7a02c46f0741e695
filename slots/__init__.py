"""Hash slots: who owns which key, without any I/O."""
