"""How fast flowrun is, beside the tools a user would pick instead.

`python -m benchmarks` runs them all, `python -m benchmarks startup dag` those two.
"""
