"""Pages of the site that are made of the code and of the records, when the site is built."""
