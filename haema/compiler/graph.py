"""A recorded program: nodes in the order of their computation, what goes in, and what comes out.

    graph  ::= node*  outputs  writes
    node   ::= name : spec = op(node, ...)[params]        an operation of the table
             | name : spec = input | state | constant     a place that is read

A *state* is memory that outlives the program: a parameter, an average, a random counter. ``writes`` says which
states have a new value at the end. Nodes are values; nothing in a graph is ever overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from haema.ops.core import Op, Spec


class Node:
    """A value.

    Attributes:
        op: The primitive that computes it, or None for a place that is read.
        params: Parameters of the primitive.
        inputs: The values it is computed from.
        spec: Shape and dtype.
        kind: "op", or for a place "input", "state" or "constant".
        array: The memory of a state, or the values of a constant.
        line: Where the user's program asked for it, "file:line".
    """

    __slots__ = ("array", "inputs", "kind", "line", "op", "params", "spec")

    def __init__(
        self,
        op: Op | None,
        inputs: tuple[Node, ...] = (),
        params: dict[str, Any] | None = None,
        spec: Spec | None = None,
        *,
        kind: str = "op",
        array: np.ndarray | None = None,
        line: str = "",
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.params = params or {}
        self.kind = kind
        self.array = array
        self.line = line
        if spec is None:
            assert op is not None
            spec = op.rule(*(x.spec for x in inputs), **self.params)
        self.spec: Spec = Spec(tuple(int(n) for n in spec.shape), spec.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self.spec.dtype

    @property
    def name(self) -> str:
        """The operation, or what kind of place it is."""
        return self.kind if self.op is None else self.op.name

    def __repr__(self) -> str:
        return f"<{self.name} {self.spec}>"


class Graph:
    """A program as a graph.

    Attributes:
        inputs: Places filled anew in each call.
        outputs: What a call returns.
        writes: State -> its new value.
    """

    def __init__(self, inputs: list[Node], outputs: list[Node], writes: dict[Node, Node]) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.writes = writes

    def roots(self) -> list[Node]:
        """What the program is for."""
        return [*self.outputs, *self.writes.values()]

    def nodes(self) -> list[Node]:
        """All nodes that something needs, each after its inputs."""
        return ordered(self.roots())

    def states(self) -> list[Node]:
        """The states that are read or written."""
        found = dict.fromkeys(n for n in self.nodes() if n.kind == "state")
        return list(found | dict.fromkeys(self.writes))


def ordered(roots: Iterable[Node]) -> list[Node]:
    """Everything that ``roots`` need, each node after its inputs."""
    done: dict[Node, None] = {}
    for root in roots:
        stack: list[tuple[Node, int]] = [(root, 0)]
        while stack:
            node, i = stack.pop()
            if node in done:
                continue
            if i < len(node.inputs):
                stack.append((node, i + 1))
                stack.append((node.inputs[i], 0))
            else:
                done[node] = None
    return list(done)


def uses(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """Who reads each node."""
    readers: dict[Node, list[Node]] = {}
    for node in nodes:
        readers.setdefault(node, [])
        for x in node.inputs:
            readers.setdefault(x, []).append(node)
    return readers


def show_params(params: dict[str, Any]) -> str:
    """Parameters as text, the same for equal ones."""
    words = []
    for key, value in sorted(params.items()):
        if key == "path":
            value = [(op.name, show_params(p)) for op, p in value]
        elif isinstance(value, np.dtype):
            value = value.name
        words.append(f"{key}={value}")
    return ", ".join(words)


def show(graph: Graph) -> str:
    """The graph as text."""
    names = {node: f"v{i}" for i, node in enumerate(graph.nodes())}
    for state in graph.writes:
        names.setdefault(state, f"s{len(names)}")
    lines = []
    for node, name in names.items():
        what = node.name
        if node.kind == "constant" and node.array is not None and node.array.size == 1:
            what = f"constant {node.array.item()!r}"
        args = ", ".join(names[x] for x in node.inputs)
        params = show_params(node.params)
        call = f"({args})" if node.op is not None else ""
        lines.append(f"{name}: {node.spec} = {what}{call}" + (f"[{params}]" if params else ""))
    for state, value in graph.writes.items():
        lines.append(f"{names[state]} <- {names[value]}")
    lines.append("return " + ", ".join(names[x] for x in graph.outputs))
    return "\n".join(lines)


def verify(graph: Graph) -> None:
    """Check that every node is what its operation's rule says, and that writes fit their states.

    Raises:
        AssertionError: the graph is wrong, which is a mistake of the pass before.
    """
    for node in graph.nodes():
        if node.op is not None:
            assert node.op.compiles, f"{node} cannot be compiled"
            said = node.op.rule(*(x.spec for x in node.inputs), **node.params)
            assert Spec(tuple(said.shape), said.dtype) == node.spec, f"{node}: its rule says {said}"
        elif node.kind == "constant":
            assert node.array is not None
            assert Spec(node.array.shape, node.array.dtype) == node.spec, f"{node} holds {node.array!r}"
    for state, value in graph.writes.items():
        assert state.kind == "state", f"{state} is written"
        assert state.spec == value.spec, f"{state} gets {value}"
    assert len(set(graph.inputs)) == len(graph.inputs)
