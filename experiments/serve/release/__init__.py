"""`longplay release`: versions of policies, which one serves, and how a new one gets there."""
