"""Reading untrusted files: strict parsers, limits, digests."""
