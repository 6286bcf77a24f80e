"""Service level indicators of a server, summed over the decisions and outcomes that it logs."""
