"""The joint compressor: pruning and fine-tuning of integers under a budget, stage by stage."""
