"""A table of a model: its modules, what comes out of each, and what each costs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from haema.autograd import no_grad
from haema.creation import zeros
from haema.executor import active, using
from haema.nn.module import Module
from haema.nn.undisturbed import undisturbed
from haema.ops.contract import multiplications
from haema.ops.core import Op
from haema.tensor import Tensor

__all__ = ["Row", "Summary", "summary"]


@dataclass
class Row:
    """One module in the table.

    Attributes:
        name: Its dotted name; "" for the model itself.
        type: Its class.
        depth: How many levels below the model.
        output: Shape of its output, a list of shapes if there are several, None if it was not called.
        parameters: Number of its own parameters, without those below it and without those counted before.
        trainable: How many of them are learned.
        multiply_adds: Products that are summed in one pass: those of matrix products and convolutions.
        activations: Bytes of its output.
        leaf: Whether it has no modules below.
    """

    name: str
    type: str
    depth: int
    output: Any = None
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int = 0
    activations: int = 0
    leaf: bool = True


@dataclass(repr=False)
class Summary:
    """What `summary` found; ``str()`` is the table.

    Attributes:
        rows: One per module.
        input: Shapes of the inputs.
        parameter_bytes, buffer_bytes: Memory of the parameters and buffers.
    """

    rows: list[Row]
    input: list[tuple[int, ...]]
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    columns: Sequence[str] = field(default=("Layer", "Output shape", "Parameters", "Multiply-adds"), repr=False)

    @property
    def parameters(self) -> int:
        """Number of parameters, each counted once."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable(self) -> int:
        """Number of parameters that are learned."""
        return sum(row.trainable for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Products that are summed in one forward pass, in dense layers and convolutions."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Memory of the outputs of all modules that have none below."""
        return sum(row.activations for row in self.rows if row.leaf)

    def cells(self) -> list[tuple[str, str, str, str]]:
        """The table's text, row by row."""
        lines = []
        for row in self.rows:
            label = row.name.rpartition(".")[2]
            layer = "  " * row.depth + (f"{label}: {row.type}" if label else row.type)
            output = "not called" if row.output is None else _shape(row.output)
            lines.append((layer, output, _count(row.parameters), _count(row.multiply_adds)))
        return lines

    def totals(self) -> list[tuple[str, str]]:
        """The lines below the table."""
        fixed = self.parameters - self.trainable
        return [
            ("Input", ", ".join(map(_shape, self.input))),
            ("Parameters", f"{self.parameters:,}"),
            ("  learned", f"{self.trainable:,}"),
            ("  fixed", f"{fixed:,}"),
            ("Multiply-adds", f"{self.multiply_adds:,}"),
            ("Memory of parameters", _bytes(self.parameter_bytes)),
            ("Memory of buffers", _bytes(self.buffer_bytes)),
            ("Memory of outputs", _bytes(self.activation_bytes)),
        ]

    def __repr__(self) -> str:
        return f"<Summary: {len(self.rows)} modules, {self.parameters:,} parameters>"

    def __str__(self) -> str:
        lines = [tuple(self.columns), *self.cells()]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        text = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in lines
        ]
        rule = "-" * (sum(widths) + 6)
        totals = [f"{name + ':':<24}{value}" for name, value in self.totals()]
        return "\n".join([text[0], rule, *text[1:], rule, *totals])

    def show(self, file: Any = None) -> None:
        """Print the table, in colours if it goes to a terminal."""
        out = sys.stdout if file is None else file
        if not getattr(out, "isatty", lambda: False)():
            print(self, file=out)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for i, name in enumerate(self.columns):
            table.add_column(name, justify="left" if i < 2 else "right")
        for line in self.cells():
            table.add_row(*(Text(cell) for cell in line))
        console = Console(file=out)
        console.print(table)
        for name, value in self.totals():
            console.print(Text(f"{name + ':':<24}{value}"))


def summary(model: Module, input_shape: Any, *, batch_size: int = 1, dtype: Any = None, show: bool = True) -> Summary:
    """A table of ``model``: the modules, their output shapes, parameters and multiply-adds; printed and returned.

    Zeros are sent through the model once, in evaluation mode and off the tape. Afterwards modes, buffers and the
    random numbers' state are what they were.

    Args:
        model: Any module.
        input_shape: Shape of one sample, without the batch axis, e.g. (1, 28, 28); a list of shapes for a model
            of several inputs; or a tensor (a whole batch) to send through.
        batch_size: Size of the batch axis, which comes first.
        dtype: Of the zeros; by default that of the parameters. int64 for a model that begins with an embedding.
        show: Whether to print the table, too.

    Returns:
        The `Summary`, whose ``str()`` is the table.

    Raises:
        TypeError: ``input_shape`` is neither a shape nor shapes nor a tensor.
    """
    inputs = _inputs(model, input_shape, batch_size, dtype)
    rows, seen = {}, set()
    for name, module in model.named_modules():
        row = rows[id(module)] = Row(name, type(module).__name__, name.count(".") + 1 if name else 0)
        row.leaf = not any(True for _ in module.children())
        for parameter in module._parameters.values():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                row.parameters += parameter.numel()
                row.trainable += parameter.numel() if parameter.requires_grad else 0
    counting = _Counting(active())

    def leave(module: Module, args: Any, output: Any) -> None:
        _note(counting.at_work.pop(), output)

    with undisturbed(model), no_grad(), using(counting):
        handles = [m.register_forward_hook(leave) for m in model.modules()]
        handles += [
            m.register_forward_pre_hook(lambda m, x: counting.at_work.append(rows[id(m)])) for m in model.modules()
        ]
        try:
            model(*inputs)
        finally:
            for handle in handles:
                handle.remove()
    found = Summary(
        list(rows.values()),
        [x.shape for x in inputs],
        sum(p.numel() * p.itemsize for p in model.parameters()),
        sum(b.numel() * b.itemsize for b in model.buffers()),
    )
    if show:
        found.show()
    return found


def _inputs(model: Module, input_shape: Any, batch_size: int, dtype: Any) -> list[Tensor]:
    if isinstance(input_shape, Tensor):
        return [input_shape]
    if isinstance(input_shape, int):
        input_shape = (input_shape,)
    if not isinstance(input_shape, (list, tuple)):
        raise TypeError(f"summary: input_shape is a tuple such as (1, 28, 28), not a {type(input_shape).__name__}")
    several = bool(input_shape) and all(isinstance(s, (list, tuple)) for s in input_shape)
    shapes = input_shape if several else [input_shape]
    if not all(isinstance(n, int) and n >= 0 for shape in shapes for n in shape):
        raise TypeError(f"summary: the sizes in input_shape are whole numbers, and {input_shape!r} has others")
    if dtype is None:
        dtype = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), None)
    return [zeros(batch_size, *shape, dtype=dtype) for shape in shapes]


def _note(row: Row, output: Any) -> None:
    """What a call of a module says about its row."""
    tensors = [y for y in (output if isinstance(output, (tuple, list)) else [output]) if isinstance(y, Tensor)]
    shapes = [y.shape for y in tensors]
    row.output = shapes[0] if len(shapes) == 1 else shapes
    row.activations += sum(y.numel() * y.itemsize for y in tensors)


class _Counting:
    """An executor that lets another one work, and counts the products of contractions for the module at work.

    Attributes:
        at_work: Rows of the modules that have been called and have not returned, the innermost last.
    """

    def __init__(self, real: Any) -> None:
        self.real = real
        self.at_work: list[Row] = []

    def run(self, op: Op, arrays: Any, params: dict[str, Any]) -> Any:
        """The result of ``op``."""
        if op.family == "contract" and self.at_work:
            self.at_work[-1].multiply_adds += multiplications(params["spec"], *(a.shape for a in arrays))
        return self.real.run(op, arrays, params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _shape(shape: Any) -> str:
    if isinstance(shape, list):
        return ", ".join(map(_shape, shape)) or "no tensor"
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _count(n: int) -> str:
    return f"{n:,}" if n else "-"


def _bytes(n: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if n < 1024:
            return f"{n:,} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1024  # type: ignore[assignment]
    return f"{n:,.1f} GiB"
