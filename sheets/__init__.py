"""Contact sheets: what the default model makes of faces and voices, to be looked at."""
