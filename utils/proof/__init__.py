"""Rows written and read back: does what the class says survive this database, and is what it forbids refused?"""
