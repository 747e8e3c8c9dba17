"""Families of models that users bring, one file each."""
