"""How the default model's ear is made: synthetic voices, mouth tracks, network, evaluation."""
