"""One file for each flavor, behind the interface in `base.py`."""
