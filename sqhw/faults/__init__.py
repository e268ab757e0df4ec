"""What an engine makes of damaged memories: bits that flip in its ROMs and in its feature maps."""
