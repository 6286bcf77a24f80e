"""One style for every page: elements, charts, colours and hover texts; no matplotlib, no files."""
