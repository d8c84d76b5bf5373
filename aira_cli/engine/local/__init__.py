"""The engine that decodes on this machine, on torch."""
