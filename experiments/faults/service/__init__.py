"""The service whose days are played: its users, all its parts, and what can be heard of them."""
