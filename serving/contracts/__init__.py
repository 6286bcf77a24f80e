"""What goes in and out: requests, decisions and outcomes, with their JSON."""
