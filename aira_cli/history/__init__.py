"""The history: every conversation with all its answers, in one SQLite file of the user's."""
