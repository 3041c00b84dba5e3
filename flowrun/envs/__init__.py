"""Environment specifications to built, locked environments."""
