"""What a training step of the compressor takes, beside plain quantization-aware training."""
