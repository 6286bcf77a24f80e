"""`longplay study`: which encoder pays under which agent."""
