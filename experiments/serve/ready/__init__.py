"""`longplay release readiness`: what a careful team ticks before and in production, with proofs."""
