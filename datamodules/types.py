"""The types that data, methods and scoring share."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypedDict

from torch import Tensor

from datamodules.errors import UserError

Role = Literal["train", "select", "test"]
Pairing = Literal["paired", "unpaired"]
__all__ = [
    "ROLES",
    "LayerBatch",
    "LayerSpec",
    "Pairing",
    "Role",
    "Sample",
    "SceneBatch",
    "UnmixedBatch",
    "UnpairedBatch",
    "UserError",
    "WovenBatch",
]

ROLES: tuple[Role, ...] = ("train", "select", "test")


class LayerSpec(TypedDict):
    """What a method may know of the data it separates.

    Plain values only, so that a checkpoint that holds one loads with ``weights_only=True``.

    Attributes:
        layers: names of the layers in training, in the order of ``LayerBatch.layers``.
        scored: the prefix of ``layers`` that has a truth in the test set.
        target: those of ``scored`` that the task is for: the background behind rain, haze, clouds or glass;
            all of several pictures that are alike. Rows are ranked by them alone.
        derived: those of ``layers`` whose training truth is no observation but follows from the mixture and the
            target by the image-formation model: mixture − background for rain, the veil for haze.
        ordered: whether the order of the layers has a meaning (False: any permutation is right).
        channels: colour channels of mixture and layers.
        scale: how many times larger a layer is than the mixture, along each side.
        mixing: name of the image-formation model.
        gain: the layers' sum in units of the mixture: 1 where the model sums them, K where it averages K.
        fusion: ``sum`` where the mixture is about the layers' sum divided by ``gain``, ``product`` where it is
            about their product.
        gamma: 1 where the layers' values blend, g where their values to the power of g do.
        pairing: ``paired``, or ``unpaired`` where the mixtures and layers of a training batch are of
            different scenes.
        protocol: name of the scoring protocol.
        citation: where the data come from.
        licence: under which terms.
    """

    layers: list[str]
    scored: list[str]
    target: list[str]
    derived: list[str]
    ordered: bool
    channels: int
    scale: int
    mixing: str
    gain: float
    fusion: str
    gamma: float
    pairing: str
    protocol: str
    citation: str
    licence: str


class LayerBatch(NamedTuple):
    """Mixtures and the layers that were blended into them.

    Attributes:
        mixture: (B, C, h, w) float32, finite, nominally in [0, 1]; a sum or sensor noise may leave it.
        layers: (B, K, C, H, W) float32 in [0, 1]; H = scale · h. In the test role perhaps only those
            that ``spec["scored"]`` names. In unpaired training they are not those of the mixture.
        mask: (B, 1, H, W) bool, True where scored.
        ids: B names, unique within a role.
    """

    mixture: Tensor
    layers: Tensor
    mask: Tensor
    ids: list[str]


class Sample(NamedTuple):
    """One sample as a data set draws it.

    Attributes:
        sources: (S, C, H, W) float32 in [0, 1]: clean pictures that the image-formation model makes
            layers of; where the mixture is given, the layers themselves.
        name: unique within the role.
        mixture: (C, h, w), where it was not made here: a photograph of the real thing.
        mask: (1, H, W) bool, True where scored; None for everywhere.
    """

    sources: Tensor
    name: str
    mixture: Tensor | None = None
    mask: Tensor | None = None


class UnmixedBatch(NamedTuple):
    """Sources with the parameters of their mixing, before they are blended (on the device, in training).

    Attributes:
        sources: (B, S, C, H, W) float32 in [0, 1].
        parameters: what ``Mixing.draw`` gave, each with a leading B.
        mask: (B, 1, H, W) bool.
        ids: B names.
    """

    sources: Tensor
    parameters: dict[str, Tensor]
    mask: Tensor
    ids: list[str]


class WovenBatch(NamedTuple):
    """A batch of a stream of several sources: some mixtures are still to be blended, others were photographed.

    Attributes:
        unmixed: the former.
        mixed: the latter.
        order: B places: sample i of the stream is number ``order[i]`` of the former followed by the latter.
    """

    unmixed: UnmixedBatch
    mixed: LayerBatch
    order: list[int]


SceneBatch = UnmixedBatch | LayerBatch | WovenBatch
"""What samples of whole scenes come as."""


class UnpairedBatch(NamedTuple):
    """A batch of unpaired training: the layers are not those of the mixtures.

    Attributes:
        mixtures: B samples, of which the mixtures are taken.
        layers: K times B samples; layer i is taken of the i-th.
    """

    mixtures: SceneBatch
    layers: list[SceneBatch]
