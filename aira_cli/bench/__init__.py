"""Measurements side by side: our decoding, the model cards' way and llama.cpp, in one run.

Every measurement is a process of its own (`child.py`); the parent only starts them in turn,
and collects. What is shown, and in which words, is the command's business.
"""
