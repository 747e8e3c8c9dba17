"""Koubo: a voice and a face in, a lip-synced talking-head video out.

A folder in here is a function that can be deployed on its own; a file is what the functions share.
"""
