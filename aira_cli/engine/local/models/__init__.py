"""The models behind one step interface (`step.py`), one file an architecture."""
