"""Engines answer requests. `base` is the protocol, `open` builds one, `local` decodes here."""
