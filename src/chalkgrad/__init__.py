"""Chalkgrad: equations in, backpropagation shown, PyTorch layer out."""
