"""Kernels of our own for CPUs, in C++, compiled where a compiler is at hand."""
