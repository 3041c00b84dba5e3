"""A recorded run as a Provenance Run Crate: a folder or zip file that describes itself."""
