"""Aira: chat in the terminal with small language models, several answers at once."""

__version__ = "0.1.0"
