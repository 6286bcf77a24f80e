"""Logs on disk and foreign tables: Parquet, Arrow, data frames."""
