"""Profiles: one YAML file a model, packaged ones first, then the user's."""
