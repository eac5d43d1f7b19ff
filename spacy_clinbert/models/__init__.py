"""Thinc and PyTorch models: encoders and heads."""
