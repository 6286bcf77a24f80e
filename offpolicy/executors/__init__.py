"""Where independent pieces of work run: here, threads, processes, a Ray or a Dask cluster."""
