"""Text encoders, small language models, prompts, recorded answers and retrieval."""
