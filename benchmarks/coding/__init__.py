"""Golomb-Rice streams beside the dense and gap streams, at the same weights."""
