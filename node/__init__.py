"""One Clustrio node: everything that turns client bytes into replies."""
