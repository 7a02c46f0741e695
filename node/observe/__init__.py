"""What a node shows of itself: the sections of INFO, and the samples behind its rates."""
