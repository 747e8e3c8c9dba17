"""Ingest: analyses every voice and footage once, knowing no model, and plans the runs."""
