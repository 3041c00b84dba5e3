"""The registry's half of the SQL store."""
