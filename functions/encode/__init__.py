"""Encode: composites patches onto the footage, encodes segments, assembles the video."""
