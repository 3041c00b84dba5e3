"""MLproject text to a typed project."""
