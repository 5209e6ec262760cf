"""The permutation symmetries of a network: hidden units whose order does not matter to what it computes."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

from study.analysis.equivariance import Call, Value, carried, name_of, name_of_layer
from study.analysis.spaces import Axes, Spaces
from study.landscape.network import arguments
from study.landscape.weights import Weights


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
class PermutationGroup:
    """Hidden units or channels whose order, in all of these dims at once, the function does not see.

    Attributes:
        size: number of units.
        members: where they lie, in the order of the network's parameters, then of its buffers.
    """

    size: int
    members: tuple[Member, ...]


Permutations = Mapping[PermutationGroup, Tensor]
"""An order, int64 (size,), for each group: unit i becomes the one that was at order[i]."""


def permutation_groups(model: nn.Module, example: Any) -> tuple[PermutationGroup, ...]:
    """The permutation symmetries of `model` in evaluation mode (Ainsworth et al. 2022, section 2).

    The network is traced (torch.fx), and what each operation does to an order is followed from the weights to
    the outputs. Inputs and outputs keep their order; so does all that an operation touches for which there is
    no rule: a symmetry may be missed, but none is claimed that is not there.

    Args:
        model: any network that torch.fx can trace; left as it was.
        example: inputs of two examples, as the model is called with and where it lies: a tensor, a tuple of
            positional or a dict of named arguments. Shapes are read off it, never values.

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
    follower = _Follower(fx.GraphModule(tracer.root, graph), network)
    own = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, example)
    with torch.no_grad():
        follower.run(*_positional(graph, own))
    return follower.groups()


def parameters_of(weights: Weights) -> dict[str, Tensor]:
    """The parameters by name, in the precision of the flat vector."""
    parameters = weights.layout.parameters
    parts = weights.flat.split([parameter.size for parameter in parameters])
    return {
        parameter.name: part.view(parameter.shape) for parameter, part in zip(parameters, parts, strict=True)
    }


def permute(weights: Weights, permutations: Permutations) -> Weights:
    """The weights with their units in another order: the same function, at another point of weight space.

    Args:
        weights: of the network that the groups belong to.
        permutations: an order for each group; groups that are not named keep theirs.

    Raises:
        ValueError: if an order is no permutation of its group, or the group's tensors are not these weights'.
    """
    tensors = {**parameters_of(weights), **weights.buffers}
    for group, order in permutations.items():
        if not torch.equal(order.sort().values, torch.arange(group.size)):
            raise ValueError(f"an order must be a permutation of {group.size} units, got {order.tolist()}")
        for member in group.members:
            tensor = tensors.get(member.tensor)
            if tensor is None or tensor.shape[member.dim] != group.size * member.block:
                raise ValueError(
                    f"the weights must hold {member.tensor!r} with {group.size * member.block} entries along "
                    f"dim {member.dim}, got {None if tensor is None else tuple(tensor.shape)}"
                )
            indices = member.indices(order).to(tensor.device)
            tensors[member.tensor] = tensor.index_select(member.dim, indices)
    parameters = weights.layout.parameters
    return replace(
        weights,
        flat=torch.cat([tensors[parameter.name].reshape(-1) for parameter in parameters]),
        buffers={name: tensors[name] for name in weights.buffers},
    )


def inverse(permutations: Permutations) -> dict[PermutationGroup, Tensor]:
    """The permutations that undo these."""
    return {group: order.argsort() for group, order in permutations.items()}


def random_permutations(groups: Sequence[PermutationGroup], seed: int) -> dict[PermutationGroup, Tensor]:
    """Uniformly random orders, which depend on the seed and the sizes of the groups alone."""
    generator = torch.Generator().manual_seed(seed)
    return {group: torch.randperm(group.size, generator=generator) for group in groups}


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

    def __init__(self, traced: fx.GraphModule, network: nn.Module) -> None:
        super().__init__(traced)
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
                self.axes[n] = self._named(result).axes if isinstance(result, Tensor) else ()
            case "call_module":
                layer = self.fetch_attr(str(n.target))
                tensors = (*layer.named_parameters(), *layer.named_buffers())
                own = {name: self._named(tensor) for name, tensor in tensors}
                call = Call(name_of_layer(layer), args, kwargs, own, layer, shape)
                self.axes[n] = carried(self.spaces, call)
            case _:  # the output too: it has no rule, so all that it is made of keeps its order
                name = str(n.target) if n.op == "call_method" else name_of(n.target)
                self.axes[n] = carried(self.spaces, Call(name, args, kwargs, {}, None, shape))
        return result

    def groups(self) -> tuple[PermutationGroup, ...]:
        """The groups that nothing has fixed."""
        members: dict[int, list[Member]] = {}
        sizes: dict[int, int] = {}
        for name in self.names.values():
            for dim, axis in enumerate(self.own[name].axes if name in self.own else ()):
                if (found := self.spaces.free(axis)) is not None:
                    members.setdefault(found.space, []).append(Member(name, dim, found.block))
                    sizes[found.space] = self.spaces.size(found)
        return tuple(PermutationGroup(sizes[space], tuple(own)) for space, own in members.items())

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
