"""Where feature maps lie in the activation banks, and the tiles that a layer is computed in."""
