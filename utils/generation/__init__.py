"""Rows from the contract of a class: realistic, deterministic, obeying lengths, scales, keys and checks."""
