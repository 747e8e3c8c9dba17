"""Infer: turns a segment's voice and face windows into mouth patches."""
