"""Search for models: what is measured of them, and studies that try them."""
