"""A network run once, with what lies along each dim followed from its weights to its outputs."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

from study.analysis.symmetry.calls import Call, Rules, Value, carried, name_of, name_of_layer
from study.analysis.symmetry.spaces import Axes, Spaces
from study.landscape.network import arguments


@dataclass(frozen=True)
class Member:
    """A dim of a parameter or buffer along which the units of a group lie.

    Attributes:
        tensor: its name.
        dim: of the tensor.
        block: consecutive entries of one unit: H · W where a linear layer reads flattened channels.
    """

    tensor: str
    dim: int
    block: int

    def indices(self, order: Tensor) -> Tensor:
        """The entries along the dim, (units · block,), that `order`, (units,), brings to each place."""
        return (order[:, None] * self.block + torch.arange(self.block)).reshape(-1)


@dataclass(frozen=True)
class Group:
    """Hidden units or channels that a symmetry acts on, in all of these dims at once.

    Attributes:
        size: number of units.
        members: where they lie, in the order of the network's parameters, then of its buffers.
    """

    size: int
    members: tuple[Member, ...]

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse tensors of another network.

        Raises:
            ValueError: if a member is absent or of another size.
        """
        for member in self.members:
            tensor = tensors.get(member.tensor)
            if tensor is None or tensor.shape[member.dim] != self.size * member.block:
                raise ValueError(
                    f"the weights must hold {member.tensor!r} with {self.size * member.block} entries along "
                    f"dim {member.dim}, got {None if tensor is None else tuple(tensor.shape)}"
                )


def free_groups(model: nn.Module, example: Any, rules: Rules) -> tuple[Group, ...]:
    """The sets of units that nothing on the way from the weights to the outputs has fixed.

    Args:
        model: any network that torch.fx can trace; left as it was, and run in evaluation mode.
        example: inputs of two examples, as the model is called with and where it lies: a tensor, a tuple of
            positional or a dict of named arguments. Shapes are read off it, never values.
        rules: how the operations of a network carry the symmetry.

    Returns:
        The groups, in the order of the parameters that they first appear in.

    Raises:
        ValueError: if torch.fx cannot trace the network.
    """
    tracer = _Tracer()
    try:
        network = copy.deepcopy(model).eval()
        graph = tracer.trace(network)
    except Exception as error:  # whatever the network's own code makes of a tensor without values
        raise ValueError(
            "symmetries need a network that torch.fx can trace (no control flow that depends on its inputs), "
            f"{type(model).__name__} gives {type(error).__name__}: {error}"
        ) from error
    follower = _Follower(fx.GraphModule(tracer.root, graph), network, rules)
    own = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, example)
    with torch.no_grad():
        follower.run(*_positional(graph, own))
    return follower.groups()


def _positional(graph: fx.Graph, example: Any) -> tuple[Any, ...]:
    """What the graph is called with: named inputs in the order of the network's own arguments."""
    args, *named = arguments(example)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    return (*args, *[named[0].get(node.target, *node.args) for node in inputs if named])


class _Tracer(fx.Tracer):
    # A buffer that is computed with while the network is traced would else become a constant of no name.
    proxy_buffer_attributes = True


class _Follower(fx.Interpreter):
    """Runs a network, and follows what lies along the dims of each tensor on the way."""

    def __init__(self, traced: fx.GraphModule, network: nn.Module, rules: Rules) -> None:
        super().__init__(traced)
        self.rules = rules
        self.spaces = Spaces()
        self.names = {
            id(tensor): name for name, tensor in (*network.named_parameters(), *network.named_buffers())
        }
        self.own: dict[str, Value] = {}
        self.axes: dict[fx.Node, Axes] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The result of a node, with the axes of it noted."""
        args, kwargs = fx.map_arg(n.args, self._value), fx.map_arg(n.kwargs, self._value)
        result = super().run_node(n)
        shape = tuple(result.shape) if isinstance(result, Tensor) else None
        match n.op:
            case "placeholder":
                self.axes[n] = (None,) * len(shape or ())
            case "get_attr":
                own = (self._named(result),) if isinstance(result, Tensor) else ()
                self.axes[n] = carried(self.rules, self.spaces, Call("get_attr", own, {}, {}, None, shape))
            case "call_module":
                layer = self.fetch_attr(str(n.target))
                tensors = (*layer.named_parameters(), *layer.named_buffers())
                held = {name: self._named(tensor) for name, tensor in tensors}
                call = Call(name_of_layer(layer), args, kwargs, held, layer, shape)
                self.axes[n] = carried(self.rules, self.spaces, call)
            case _:  # the output too: it has no rule, so all that it is made of keeps its order
                name = str(n.target) if n.op == "call_method" else name_of(n.target)
                self.axes[n] = carried(self.rules, self.spaces, Call(name, args, kwargs, {}, None, shape))
        return result

    def groups(self) -> tuple[Group, ...]:
        """The groups that nothing has fixed."""
        members: dict[int, list[Member]] = {}
        sizes: dict[int, int] = {}
        for name in self.names.values():
            for dim, axis in enumerate(self.own[name].axes if name in self.own else ()):
                if (found := self.spaces.free(axis)) is not None:
                    members.setdefault(found.space, []).append(Member(name, dim, found.block))
                    sizes[found.space] = self.spaces.size(found)
        return tuple(Group(sizes[space], tuple(own)) for space, own in members.items())

    def _value(self, node: fx.Node) -> Any:
        """What a node gave: of a tensor its shape and axes, all else as it is."""
        result = self.env[node]
        if not isinstance(result, Tensor):
            return result
        axes = self.axes[node]
        reshaped = len(axes) != result.ndim  # in place, by an operation without a rule: all of it is fixed
        return Value(tuple(result.shape), (None,) * result.ndim if reshaped else axes)

    def _named(self, tensor: Tensor) -> Value:
        """A parameter or buffer of the network: units of its own along each dim, until they are tied."""
        shape = tuple(tensor.shape)
        name = self.names.get(id(tensor))
        if name is None:
            return Value(shape, (None,) * len(shape))
        if name not in self.own:
            self.own[name] = Value(shape, tuple(self.spaces.new(size) for size in shape))
        return self.own[name]
