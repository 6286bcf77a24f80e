"""What a server knows across restarts: written while it serves, read back when it starts."""
