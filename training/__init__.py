"""Training of the packaged Portuguese adapter: its data, their checks and what is measured with it.

Nothing in the `aira_cli` package imports from here.
"""
