"""Models as YAML: components of submodels, which are lists of layers with skips."""
