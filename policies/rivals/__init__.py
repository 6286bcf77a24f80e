"""Simple policies that agents have to beat: what items do on average, and a rule by search."""
