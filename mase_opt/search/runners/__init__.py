"""What is measured of a trial's model: a runner each, or a family of them."""
