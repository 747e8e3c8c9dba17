"""The demonstration: a voice of our own and an astronaut's portrait, in and out."""
