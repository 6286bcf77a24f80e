"""One user's session to look at: its record, as text, and as a picture."""
