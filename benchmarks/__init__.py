"""Measurements of OpenBark: every figure in the docs comes from a script in this folder.

Run a script as a module from the root of the repository, for example
``python -m benchmarks.quality``. Each prints a card for people, then one line of JSON.
"""
