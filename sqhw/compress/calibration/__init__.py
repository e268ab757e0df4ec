"""Scales, gains and biases measured on images, without training."""
