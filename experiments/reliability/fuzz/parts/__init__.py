"""What is called: valid arguments of the entries of each registry, and what an answer must be."""
