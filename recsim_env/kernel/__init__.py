"""The compiled loop over users."""
