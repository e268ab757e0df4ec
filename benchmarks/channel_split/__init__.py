"""Output channels of a layer divided over cores, against one wide core: cycles of one image."""
