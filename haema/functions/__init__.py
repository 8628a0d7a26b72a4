"""Functions of tensors: plain Python over the primitives.

Each is both a free function (``hm.exp(x)``) and, where PyTorch has it so, a method (``x.exp()``). None has a
kernel of its own, so each is differentiated, run and compiled by what the primitives know.
"""
