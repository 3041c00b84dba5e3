"""What was recorded, read back: to run it again, to verify it, to show where things come from."""
