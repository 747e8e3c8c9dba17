"""What Koubo costs, as ratios within one run: `make bench`."""
