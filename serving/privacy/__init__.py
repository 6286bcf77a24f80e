"""What has to go: a user, and what is older than it may be."""
