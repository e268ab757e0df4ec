"""The table of flipped bits: what they cost networks that were trained."""
