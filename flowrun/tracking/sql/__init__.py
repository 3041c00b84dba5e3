"""The tracking store over SQLite or PostgreSQL, with its schema in SQLModel."""
