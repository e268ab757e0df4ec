"""Engines of several cores on one device: predicted, measured in RTL, and placed."""
