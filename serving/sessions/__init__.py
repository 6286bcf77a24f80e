"""What is known of users while they are here: their histories and the steps of their sessions."""
