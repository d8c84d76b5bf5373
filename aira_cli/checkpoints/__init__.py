"""What a model's files hold: safetensors, AWQ GEMM and GGUF, read into neutral weight records."""
