"""Load for a server: users who return, their outcomes, and how it was answered."""
