"""Doors: tables, ids and formats that users have, inspected, read, and answered in their ids."""
