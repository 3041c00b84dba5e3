"""Steps that write to the model registry, and what else moves or traces versions."""
