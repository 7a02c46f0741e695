"""What tests share: real servers as processes, and a client that hides nothing."""
