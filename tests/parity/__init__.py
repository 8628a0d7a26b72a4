"""haema against PyTorch: the same Python on both, the numbers compared.

A case is a function of the framework and of a source of numbers. It uses only what the two have in common::

    from tests.parity.harness import case

    @case
    def softplus(T, rng):
        x = T.tensor(rng.normal(size=(3, 4)), requires_grad=True)
        y = T.nn.functional.softplus(x)
        y.sum().backward()
        return {"y": y, "gx": x.grad}

Cases stand in ``cases_<topic>.py`` in this folder and are found by themselves. PyTorch's answers are recorded once,
in an environment that has PyTorch, and are kept in ``expected/<topic>.npz``::

    python -m tests.parity.record             # all topics
    python -m tests.parity.record tensor nn   # these topics only

``pytest tests/parity`` needs no PyTorch: it runs the cases with haema and compares values, dtypes and shapes. A case
without a recording, a recording without a case, and a case that drew other numbers than when it was recorded, fail.
"""
