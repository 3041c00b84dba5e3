"""The tracking store over SQLite, with its schema in SQLModel."""
