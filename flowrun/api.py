"""What a program calls: the same things that the command line does."""
