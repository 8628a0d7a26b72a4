"""What all optimizers have in common: parameter groups, state, and the step's frame.

An optimizer says two things of its own: which state a parameter has (``_new_state``), and how one step changes
the parameters and the state (``_advance``). The step is plain Tensor code that writes in place, so that a compiler
can trace it. For the same reason

- the number of steps taken is a tensor among the state, and whatever depends on it is computed with tensors;
- hyperparameters are read through ``_hyper`` alone, so that they can become inputs of a compiled program;
- Python decides only by structure (which parameters have a gradient, which options are switched on).

The parameters of a group that have always stepped together count their steps with one and the same tensor, so that
what depends on the count is computed once and not for each of them. ``state_dict`` gives each its own copy.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from haema import creation, dtypes, executor
from haema.autograd import enable_grad, no_grad
from haema.conversion import to_array
from haema.errors import InputError
from haema.tensor import Tensor

Number = Any
"""A Python number or a tensor without axes."""


def is_zero(value: Number) -> bool:
    """Whether ``value`` is the Python number 0; of a tensor this is not known before the program runs."""
    return not isinstance(value, Tensor) and value == 0


def scalars(dtype: np.dtype, *values: Number) -> list[Tensor]:
    """``values`` as tensors without axes, of one type."""
    return [
        (v.to(dtype) if v.ndim == 0 else v.to(dtype).reshape(()))
        if isinstance(v, Tensor)
        else Tensor._wrap(to_array(v, dtype))
        for v in values
    ]


def one_minus_power(beta: Number, t: Tensor) -> Tensor:
    """1 - beta^t = -expm1(t log beta), to full precision where beta^t is close to 1.

    Args:
        beta: Number in [0, 1).
        t: float64 tensor without axes, at least 1.
    """
    if isinstance(beta, Tensor):
        return -(t * beta.double().log()).expm1()
    return -(t * (math.log(beta) if beta > 0 else -math.inf)).expm1()


FRACTIONS = (float, tuple)
"""Types of options that are numbers, and of pairs of such."""


class Group(dict[str, Any]):
    """A parameter group: a dict whose changes compiled steps notice."""

    def __setitem__(self, key: str, value: Any) -> None:
        # fractions, lr always, are what a compiled step reads anew each time
        if key != "lr" and not (type(value) in FRACTIONS and type(self.get(key)) in FRACTIONS):
            executor.changes.settings += 1
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        executor.changes.settings += 1
        super().__delitem__(key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of a dict."""
        executor.changes.settings += 1
        super().update(*args, **kwargs)


class Optimizer:
    """Base class of all optimizers.

    Args:
        params: Tensors, (name, tensor) pairs as of ``named_parameters()``, or dicts, one for each parameter group:
            ``{"params": [...], "lr": 0.1, ...}``; an option that a group does not name has the default.
        defaults: Values of the options.

    Attributes:
        param_groups: List of dicts: ``params`` and the options.
        state: Dict of the state of each parameter.
        defaults: Values of the options for groups that do not name them.

    Raises:
        TypeError: ``params`` is a single tensor, or holds something that is none.
        InputError: there are no parameters, an option is out of its range, a parameter is not a leaf or is in two
            groups.
    """

    together: tuple[str, ...] = ("step",)
    """State that parameters which step together share."""

    _changes = 0

    def settings(self) -> tuple[Any, ...]:
        """What decides about a step besides numbers that it reads anew: a compiled step holds while that stays."""
        options = ((k, v) for group in self.param_groups for k, v in group.items() if k != "lr")
        wants = tuple(p.requires_grad for group in self.param_groups for p in group["params"])
        return self._changes, wants, *(pair for pair in options if isinstance(pair[1], (bool, int, str, type(None))))

    def _change(self) -> None:
        self._changes += 1
        executor.changes.settings += 1

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        if isinstance(params, Tensor):
            raise TypeError(
                f"{self._name}: params must be a list of tensors or of dicts, not a single tensor; write [tensor]"
            )
        given = list(params)
        if not given:
            raise InputError(f"{self._name}: the list of parameters is empty; it needs at least one tensor")
        self._check(defaults)
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # -- what a subclass says ------------------------------------------------------------------

    def _check(self, options: dict[str, Any]) -> None:
        """Raise InputError if an option is out of its range; subclasses add theirs."""
        self._at_least(options, "lr", 0)
        self._at_least(options, "l1_decay", 0)
        if "weight_decay" in options:
            self._at_least(options, "weight_decay", 0)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        """The state of a parameter that has not stepped yet, without what ``together`` names."""
        raise NotImplementedError

    def _new_shared_state(self) -> dict[str, Tensor]:
        """The state that ``together`` names, before the first step."""
        return {"step": creation.zeros((), dtype=dtypes.get_default_dtype())} if self.together else {}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        """One step of ``params``: they are of one type, have gradients, and share what ``together`` names."""
        raise NotImplementedError

    # -- tools for subclasses ------------------------------------------------------------------

    def _hyper(self, group: dict[str, Any], name: str) -> Any:
        """The value of a hyperparameter; every step reads them here."""
        return executor.active().option(group, name)

    def _tick(self, params: list[Tensor]) -> Tensor:
        """Count one more step; the count as a float64 tensor."""
        step = self.state[params[0]]["step"]
        step.add_(1)
        return step.double()

    def _gradient(self, group: dict[str, Any], p: Tensor, decay: bool = True) -> Tensor:
        """The gradient that the optimizer follows, never to be written to.

            g = +-grad + weight_decay theta + l1_decay sign(theta)

        Args:
            group: The parameter's group; with ``maximize`` the gradient counts with the other sign.
            p: Parameter.
            decay: Add the two decay terms.
        """
        g = p.grad
        assert g is not None
        if self._hyper(group, "maximize"):
            g = -g
        if decay:
            l2 = self._hyper(group, "weight_decay") if "weight_decay" in group else 0
            l1 = self._hyper(group, "l1_decay")
            if not is_zero(l2):
                g = (p * l2).add_(g)
            if not is_zero(l1):
                g = p.sign().mul_(l1).add_(g)
        return g

    def _decay(self, group: dict[str, Any], p: Tensor) -> None:
        """Decoupled decay: theta <- theta - lr weight_decay theta - lr l1_decay sign(theta)."""
        lr, l2, l1 = (self._hyper(group, k) for k in ("lr", "weight_decay", "l1_decay"))
        s = None if is_zero(l1) else p.sign().mul_(lr * l1)
        if not is_zero(l2):
            p.mul_(1 - lr * l2)
        if s is not None:
            p.sub_(s)

    def _at_least(self, options: dict[str, Any], name: str, low: float) -> None:
        value = options[name]
        if isinstance(value, Tensor) and value.numel() != 1:
            raise InputError(
                f"{self._name}: {name} must be a number or a tensor with one element, not one of shape {value.shape}"
            )
        if not float(value) >= low:
            raise InputError(f"{self._name}: {name} must be at least {low}, not {float(value)}")

    def _check_betas(self, options: dict[str, Any]) -> None:
        betas = options["betas"]
        if len(betas) != 2 or not all(0 <= float(b) < 1 for b in betas):
            raise InputError(f"{self._name}: betas must be two numbers from 0 to below 1, not {tuple(betas)}")

    # -- a step ------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, in place.

        Args:
            closure: Function that computes the loss anew, calls ``backward`` and returns the loss.

        Returns:
            What ``closure`` returned, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for params in self._ready(group):
                    self._advance(group, params)
        executor.active().relied(self)
        return loss

    def _ready(self, group: dict[str, Any]) -> list[list[Tensor]]:
        """The parameters with a gradient, together those of one type that share a step count."""
        self._start(group, [p for p in group["params"] if p.grad is not None])
        ready: dict[tuple[int, np.dtype], list[Tensor]] = {}
        waiting = set()
        for p in group["params"]:
            clock = id(self.state[p].get("step")) if p in self.state else 0
            if p.grad is None:
                waiting.add(clock)
            else:
                ready.setdefault((clock, p.dtype), []).append(p)
        for (clock, _), params in ready.items():
            if clock in waiting:
                self._part(params)
        return list(ready.values())

    def _start(self, group: dict[str, Any], params: Sequence[Tensor]) -> None:
        """Give state to the parameters that have none."""
        shared: dict[np.dtype, dict[str, Tensor]] = {}
        for p in params:
            if not self.state.get(p):
                with executor.at_once():
                    new = self._new_state(group, p)
                    if self.together:
                        if p.dtype not in shared:
                            shared[p.dtype] = self._new_shared_state()
                        new = {**shared[p.dtype], **new}
                if new:
                    self._change()
                    self.state[p] = new

    def _part(self, params: list[Tensor]) -> None:
        """Let ``params`` count their steps apart from others, which do not step this time."""
        if self.together:
            own = {key: copy.deepcopy(self.state[params[0]][key]) for key in self.together}
            for p in params:
                self.state[p].update(own)

    def init_state(self) -> None:
        """Create the state of every parameter that requires a gradient now, and not when it first has one.

        SGD with dampening is the exception: its velocity is made of the first gradient, in the first step.
        """
        with no_grad():
            for group in self.param_groups:
                self._start(group, [p for p in group["params"] if p.requires_grad])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients.

        Args:
            set_to_none: Set ``grad`` to None, so that a parameter that gets no gradient is left alone by ``step``;
                otherwise write zeros into it.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.detach_().zero_()

    # -- groups ------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own.

        Args:
            param_group: ``params``, and options that differ from the defaults.

        Raises:
            TypeError: it is no dict, its parameters are a set (which has no order), or one is not a tensor.
            InputError: an option is out of its range, or a parameter is not a leaf, stands twice, or is in
                another group already.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"{self._name}: a parameter group must be a dict, not {type(param_group).__name__}")
        if "params" not in param_group:
            raise InputError(f"{self._name}: a parameter group needs the key 'params', and has {list(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(f"{self._name}: params must be in a fixed order, and a set has none; use a list")
        entries = [params] if isinstance(params, Tensor) else list(params)
        names = [e[0] for e in entries if isinstance(e, tuple)]
        if names and len(names) != len(entries):
            raise InputError(f"{self._name}: either all parameters of a group have names or none")
        tensors = [e[1] if isinstance(e, tuple) else e for e in entries]
        for i, p in enumerate(tensors):
            if not isinstance(p, Tensor):
                raise TypeError(f"{self._name}: parameter {i} must be a tensor, not {type(p).__name__}")
            if not p.is_leaf:
                raise InputError(
                    f"{self._name}: parameter {i} of shape {p.shape} was computed from other tensors; only leaf "
                    "tensors can be optimized"
                )
        if len(set(tensors)) != len(tensors):
            raise InputError(f"{self._name}: a parameter stands twice in one group")
        if any(not set(tensors).isdisjoint(g["params"]) for g in self.param_groups):
            raise InputError(f"{self._name}: a parameter is in more than one parameter group")
        if any(bool(names) != ("param_names" in g) for g in self.param_groups):
            raise InputError(f"{self._name}: either all parameter groups have names or none")
        group = Group({**self.defaults, **param_group, "params": tensors})
        if names:
            group["param_names"] = names
        self._check(group)
        self._change()
        self.param_groups.append(group)

    # -- saving ------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """A copy of the state and the options, in PyTorch's layout; later steps do not change it.

        Returns:
            ``{"state": {i: {name: tensor}}, "param_groups": [{option: value, "params": [i, ...]}]}``, where i
            numbers the parameters through all groups.
        """
        number = {p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
        groups = []
        for group in self.param_groups:
            options = {k: copy.deepcopy(v) for k, v in group.items() if k != "params"}
            groups.append({**options, "params": [number[p] for p in group["params"]]})
        with no_grad():
            state = {
                number[p]: {k: v.clone() if isinstance(v, Tensor) else copy.deepcopy(v) for k, v in values.items()}
                for p, values in self.state.items()
                if values
            }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a copy of a state and its options; training goes on as if it had never stopped.

        Args:
            state_dict: What ``state_dict`` of such an optimizer returned, haema's or PyTorch's.

        Raises:
            InputError: it belongs to other groups, shapes, or another optimizer; nothing is changed then.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise InputError(
                f"{self._name}: the saved state has {len(saved)} parameter groups, and this optimizer "
                f"{len(self.param_groups)}"
            )
        groups: list[dict[str, Any]] = []
        owner: dict[Any, Any] = {}
        for i, (old, new) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(old["params"]) != len(new["params"]):
                raise InputError(
                    f"{self._name}: group {i} of the saved state has {len(new['params'])} parameters, and of this "
                    f"optimizer {len(old['params'])}"
                )
            options = {k: copy.deepcopy(v) for k, v in new.items() if k != "params"}
            if "betas" in options:
                options["betas"] = tuple(options["betas"])
            kept = {k: v for k, v in old.items() if k in self.defaults or k == "param_names"}
            groups.append(Group({**kept, **options, "params": old["params"]}))
            owner.update({k: (groups[-1], p) for k, p in zip(new["params"], old["params"], strict=True)})
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for k, values in state_dict["state"].items():
            if k not in owner:
                raise InputError(f"{self._name}: the saved state has an entry {k!r} for a parameter in no group")
            group, p = owner[k]
            state[p] = {name: self._loaded(p, name, v) for name, v in values.items() if v is not None}
            missing = {*self.together, *self._new_state(group, p)} - {*state[p]} if state[p] else set()
            if missing:
                raise InputError(
                    f"{self._name}: the saved state of parameter {k} has no {', '.join(map(repr, sorted(missing)))}; "
                    "was it saved by another optimizer?"
                )
        for group in groups:
            self._share(state, group["params"])
        self.state, self.param_groups = state, groups
        self._change()

    def _loaded(self, p: Tensor, name: str, value: Any) -> Any:
        """A copy of a saved value, of the parameter's type unless it is a count."""
        if hasattr(value, "__array__") and not isinstance(value, Tensor):
            value = np.asarray(value)  # another framework's tensor too
        if not isinstance(value, (Tensor, np.ndarray, int, float)):
            return copy.deepcopy(value)
        shared = name in self.together
        kind = None if shared and hasattr(value, "dtype") else dtypes.float32 if shared else p.dtype
        x = Tensor._wrap(to_array(value, kind))
        if not shared and x.ndim and x.shape != p.shape:
            raise InputError(
                f"{self._name}: the saved {name!r} has shape {x.shape}, and its parameter has shape {p.shape}"
            )
        return x

    def _share(self, state: dict[Tensor, dict[str, Any]], params: Sequence[Tensor]) -> None:
        """Let parameters with equal counts count together again."""
        first: dict[tuple[Any, ...], dict[str, Tensor]] = {}
        for p in params:
            if self.together and state.get(p):
                mine = {k: state[p][k] for k in self.together}
                key = (p.dtype, *((v.dtype, v.item()) for v in mine.values()))
                state[p].update(first.setdefault(key, mine))
