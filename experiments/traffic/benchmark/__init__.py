"""`longplay benchmark serving`: the server under load, overload, kills and a full disk."""
