"""The compression methods on the same networks under the same training budget."""
