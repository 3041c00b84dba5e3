"""The conda backend: packages of conda channels by py-rattler, without any conda program."""
