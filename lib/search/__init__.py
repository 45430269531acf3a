"""What can be chosen of a model, and in which order the choices are tried."""
