"""The places of feature maps in the activation banks, and the tiles of layers."""
