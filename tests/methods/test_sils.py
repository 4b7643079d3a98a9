"""SILS's distances, fusion, penalty and options, and what its rivals share with it."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.intrinsic import Intrinsic
from datamodules.mixing import Camera, GlassReflection, Mean, Product, Sum
from datamodules.reflection import Reflection
from datamodules.shapes import Shapes
from datamodules.superimposed import Superimposed
from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import SeparationMethod
from methods.chance import normal, uniform
from methods.cyclegan import CycleGAN
from methods.losses.adversarial import adversarial_losses, gradient_penalty, judge
from methods.losses.latent import code_distance, psi, self_supervision
from methods.losses.replay import ReplayBuffer
from methods.networks.fusion import fuse, single_layers
from methods.networks.latent_vgg import VGGDecoder, VGGEncoder
from methods.networks.multi_scale import MultiScaleDiscriminator
from methods.networks.vgg import VGG19Features, load_vgg19
from methods.sils import SILS
from methods.unit import UNIT


def spec_of(layers: int = 2, **changes: Any) -> LayerSpec:
    names = ["square", "circle", "triangle"][:layers]
    spec = LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=True,
        channels=3, scale=1, mixing="sum", gain=1.0, fusion="sum", gamma=1.0,
        pairing="unpaired", protocol="rgb", citation="", licence="",
    )  # fmt: skip
    return {**spec, **changes}  # type: ignore[typeddict-item]


def quiet(method: SeparationMethod) -> SeparationMethod:
    method.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method


def batch_of(layers: int = 2, count: int = 2, size: int = 64) -> LayerBatch:
    generator = torch.Generator().manual_seed(0)
    mixture = torch.rand(count, 3, size, size, generator=generator)
    foreign = torch.rand(count, layers, 3, size, size, generator=generator)
    return LayerBatch(mixture, foreign, torch.ones(count, 1, size, size, dtype=torch.bool), list("abcd"[:count]))


# Eq. 6 --------------------------------------------------------------------------------------------


def test_psi_has_the_papers_shape() -> None:
    middle = 1.4 * math.exp(1.4)
    assert float(psi(torch.tensor(middle))) == pytest.approx(0.5)
    assert float(psi(torch.tensor(0.0))) == pytest.approx(1 / (1 + math.exp(middle / 1.96)))
    assert float(psi(torch.tensor(middle + 1.96))) == pytest.approx(1 / (1 + math.exp(-1)))
    distance = torch.linspace(0, 12, 200)
    loss = 1 - psi(distance)  # what the paper's figure draws: from near 1 at equal codes down to 0
    assert (loss.diff() < 0).all()
    assert 0.94 < float(loss[0]) < 0.96
    assert float(loss[-1]) < 0.05
    slope = loss.diff()
    assert float(distance[slope.argmin()]) == pytest.approx(middle, abs=0.1), "steepest in the middle"


def test_a_larger_alpha_moves_the_middle_out_and_flattens_it() -> None:
    def slope(alpha: float) -> float:
        distance = torch.tensor(alpha * math.exp(alpha), requires_grad=True)
        value = psi(distance, alpha)
        assert float(value.detach()) == pytest.approx(0.5, abs=1e-6)
        return float(torch.autograd.grad(value, distance)[0])

    slopes = [slope(alpha) for alpha in (0.7, 1.0, 1.4, 2.0)]
    assert slopes == pytest.approx([1 / (4 * alpha**2) for alpha in (0.7, 1.0, 1.4, 2.0)])


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1.0, 1e4, 1e18])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_self_supervision_has_finite_gradients_at_any_distance(scale: float, dtype: torch.dtype) -> None:
    one = torch.rand(2, 4, 3, 3).to(dtype).requires_grad_()
    other = (one.detach() + scale).requires_grad_()
    loss = self_supervision([[one], [other]], [[one.detach() * 2], [other.detach()]], 0.5, 1.0, 1.4)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(one.grad).all()  # type: ignore[arg-type]
    assert torch.isfinite(other.grad).all()  # type: ignore[arg-type]


def test_self_supervision_is_equation_5() -> None:
    torch.manual_seed(0)
    mixture = [[torch.rand(2, 4, 5, 5), torch.rand(2, 8, 2, 2)] for _ in range(3)]
    real = [[torch.rand(2, 4, 5, 5), torch.rand(2, 8, 2, 2)] for _ in range(3)]
    expected = torch.zeros(())
    for level in range(2):
        for k in range(3):
            expected = expected + 0.3 * (mixture[k][level] - real[k][level]).abs().mean() / 2
        for j, k in ((0, 1), (0, 2), (1, 2)):
            for image in range(2):
                distance = 10 * (mixture[j][level][image] - mixture[k][level][image]).abs().mean()
                away = 1 / (1 + math.exp(-(float(distance) - 1.4 * math.exp(1.4)) / 1.4**2))
                expected = expected + 0.7 * (1 - away) / 3 / 2 / 2
    assert torch.allclose(self_supervision(mixture, real, 0.3, 0.7, 1.4), expected, atol=1e-6)


def test_code_distance_is_of_each_image() -> None:
    one, other = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    other[1] = 2
    assert code_distance(one, other).tolist() == [0, 2]


# Eq. 8: fusion ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mixing", "tolerance"),
    [(Sum(), 1e-6), (Mean(), 1e-6), (Product(), 1e-6), (GlassReflection(transparency=(1.0, 1.0)), 1e-3),
     (GlassReflection(transparency=(1.0, 1.0), gamma=1.0), 1e-6)],
)  # fmt: skip
def test_layers_fuse_to_the_mixture_of_their_formation_model(mixing: Any, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(1)
    sources = 0.6 * torch.rand(4, 2, 3, 16, 16, generator=generator)
    drawn = [mixing.draw(generator, sources.shape[1:]) for _ in range(4)]
    parameters = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    layers = mixing.render(sources, parameters)
    mixture = mixing.forward(layers, parameters)
    unclipped = mixture < 1
    spec = spec_of(gain=mixing.gain(2), fusion=mixing.fusion, gamma=mixing.gamma)
    assert torch.allclose(fuse(layers, spec)[unclipped], mixture[unclipped], atol=tolerance)


def test_data_say_how_their_layers_fuse() -> None:
    def of(data: Any) -> tuple[str, float, float]:
        spec = data.spec
        return spec["fusion"], spec["gain"], spec["gamma"]

    assert of(Shapes(layers=3)) == ("sum", 1, 1)
    assert of(Superimposed()) == ("sum", 2, 1)
    assert of(Intrinsic())[0] == "product"
    assert of(Reflection()) == ("sum", 1, 2.2)
    assert of(Reflection(mixing=GlassReflection(gamma=1))) == ("sum", 1, 1)
    assert (Camera(Product()).fusion, Camera(GlassReflection()).gamma) == ("product", 2.2)


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_fusion_has_finite_gradients_where_layers_are_black_or_negative(gamma: float) -> None:
    layers = torch.tensor([0.0, -0.2, 1e-9, 0.5]).view(1, 2, 1, 1, 2).requires_grad_()
    fuse(layers, spec_of(gamma=gamma)).sum().backward()
    assert torch.isfinite(layers.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize(("fusion", "neutral"), [("sum", 0.0), ("product", 1.0)])
def test_a_layer_alone_is_a_mixture_with_neutral_others(fusion: str, neutral: float) -> None:
    layers = batch_of(3).layers
    mixtures, truths = single_layers(layers, spec_of(3, fusion=fusion))
    assert truths.shape == (3, 2, 3, 3, 64, 64)
    for k in range(3):
        assert torch.equal(mixtures[k], layers[:, k])
        assert torch.equal(truths[k, :, k], layers[:, k])
        others = [j for j in range(3) if j != k]
        assert (truths[k][:, others] == neutral).all()
    halved, _ = single_layers(layers, spec_of(3, gain=3.0))
    assert torch.allclose(halved[0], layers[:, 0] / 3)


# Eq. 7 --------------------------------------------------------------------------------------------


def test_r1_is_half_the_squared_slope() -> None:
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 1, bias=False))
    real = torch.rand(5, 3, 4, 4)
    weight = linear[1].weight  # the slope of a linear map, everywhere
    assert torch.allclose(gradient_penalty(linear, real), (weight**2).sum() / 2)
    gradient_penalty(linear, real).backward()
    assert torch.allclose(weight.grad, weight.detach())  # type: ignore[arg-type]


def test_the_one_centred_penalty_wants_a_slope_of_one() -> None:
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 1, bias=False))
    real, between = torch.rand(5, 3, 4, 4), torch.rand(5, 3, 4, 4)
    weight = linear[1].weight
    found = gradient_penalty(linear, real, between, "one-centred")
    assert torch.allclose(found, (weight.norm() - 1) ** 2)
    with torch.no_grad():
        weight.div_(weight.norm())
    assert float(gradient_penalty(linear, real, between, "one-centred").detach()) == pytest.approx(0, abs=1e-10)
    assert float(gradient_penalty(linear, real, between, "none")) == 0
    with torch.no_grad():
        weight.zero_()
    gradient_penalty(linear, real, between, "one-centred").backward()
    assert torch.isfinite(weight.grad).all()  # type: ignore[union-attr,arg-type]


def test_the_one_centred_penalty_looks_at_images_between_real_and_made_ones() -> None:
    """Of a square critic ½‖x‖² the slope at x is x: the penalty tells where it was taken."""

    class Square(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return (image**2).flatten(1).sum(1, keepdim=True) / 2

    real, between = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    expected = ((between.flatten(1).norm(dim=1) - 1) ** 2).mean()
    assert torch.allclose(gradient_penalty(Square(), real, between, "one-centred"), expected)


def test_a_penalty_is_as_strong_for_large_images_as_for_small_ones() -> None:
    """Places that see no pixel in common: each has the same slope, whatever their number."""
    torch.manual_seed(0)
    patches = nn.Conv2d(1, 1, 4, stride=4, bias=False)
    slope = float(patches.weight.detach().norm())
    for size in (4, 16, 64):
        real = torch.rand(2, 1, size, size)
        assert float(gradient_penalty(patches, real).detach()) == pytest.approx(slope**2 / 2, rel=1e-5)
        found = float(gradient_penalty(patches, real, real, "one-centred").detach())
        assert found == pytest.approx((slope - 1) ** 2, rel=1e-5)


def test_the_gradient_penalty_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    critic = MultiScaleDiscriminator(1, 4, scales=2).double()
    real = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    with torch.no_grad():  # the penalty is float32: a coarse check of every pixel's slope
        steps = 1e-4 * torch.eye(32 * 32, dtype=torch.float64).view(-1, 1, 32, 32)
        slopes = (critic(real + steps) - critic(real - steps)).flatten(1).sum(1) / 2e-4
    expected = float((slopes**2).sum() / 2 / critic(real).numel())
    assert float(gradient_penalty(critic.float(), real).detach()) == pytest.approx(expected, rel=1e-3)
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_the_margin_is_how_far_real_images_are_from_made_ones() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    fake, real = torch.rand(4, 3, 2, 2, requires_grad=True), torch.rand(4, 3, 2, 2)
    for kind in ("wasserstein", "least-squares", "cross-entropy"):
        verdict = judge(linear, fake, real, kind=kind)  # type: ignore[arg-type]
        assert torch.allclose(verdict.margin, (linear(real).mean() - linear(fake).mean()).detach())
        assert not verdict.margin.requires_grad
        assert adversarial_losses(linear, fake, real, kind=kind) == verdict[:2]  # type: ignore[arg-type]


def test_sils_warns_of_a_blind_discriminator_and_goes_on() -> None:
    method = quiet(SILS(width=4, spec=spec_of()))
    method.guard.patience = 3
    with torch.no_grad():
        for parameter in method.critics[1].parameters():
            parameter.zero_()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(52):
            method.guard.watch(step, {"discriminator 1": torch.tensor(0.69), "discriminator 0": torch.tensor(0.6)})
    told = [str(one.message) for one in caught if "has collapsed" in str(one.message)]
    assert len(told) == 1
    assert "the discriminator 1 has collapsed at step 24: it says the same of every image" in told[0]


def test_what_is_replayed_teaches_the_discriminator_alone() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    fake, real, old = (torch.rand(2, 3, 2, 2) for _ in range(3))
    fake.requires_grad_()
    fooled, told = adversarial_losses(critic, fake, real, kind="least-squares", replayed=old)
    assert torch.allclose(told, ((critic(old) ** 2).mean() + ((critic(real) - 1) ** 2).mean()) / 2)
    assert torch.allclose(fooled, ((critic(fake) - 1) ** 2).mean())
    told.backward(retain_graph=True)
    assert fake.grad is None
    critic.zero_grad()
    fooled.backward()
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_discriminators_of_more_scales_see_farther() -> None:
    def reach(scales: int) -> int:
        torch.manual_seed(0)
        image = torch.rand(1, 3, 128, 128).requires_grad_()
        MultiScaleDiscriminator(3, 4, scales)(image)[0, 0, 0, 0].backward()
        return int((image.grad != 0).any(1).nonzero().max()) + 1  # type: ignore[union-attr]

    assert reach(1) < reach(2) < reach(3)
    critic, image = MultiScaleDiscriminator(3, 4, 3), torch.rand(2, 3, 64, 96)
    fine, middle, coarse = (branch(small) for branch, small in zip(critic.branches, halvings(image), strict=True))
    first = F.interpolate(fine, size=(2, 3), mode="bilinear") + middle
    expected = (F.interpolate(first, size=(1, 1), mode="bilinear") + coarse) / 3
    assert torch.allclose(critic(image), expected)


def halvings(image: Tensor) -> list[Tensor]:
    """An image, and twice the means of 3×3 pixels at every other place, as many of them as there are."""
    found = [image]
    for _ in range(2):
        kernel = torch.ones(3, 1, 3, 3)
        ones = torch.ones_like(found[-1])
        total, count = (F.conv2d(x, kernel, stride=2, padding=1, groups=3) for x in (found[-1], ones))
        found.append(total / count)
    return found


# Options ------------------------------------------------------------------------------------------

OPTIONS: list[tuple[type[SeparationMethod], dict[str, Any]]] = [
    (SILS, {}),
    (SILS, {"cycle": False}),
    (SILS, {"self_supervision": False}),
    (SILS, {"single_layer": 10.0}),
    (SILS, {"single_layer": 10.0, "self_supervision": False, "cycle": False, "norm": "instance"}),
    (SILS, {"scales": 3, "norm": "group", "average": 0.5, "gan": "least-squares"}),
    (SILS, {"penalty": "r1"}),
    (CycleGAN, {"targets": 2}),
    (CycleGAN, {"identity": 0.0, "replay": 0}),
    (UNIT, {"targets": 2, "scales": 2}),
]


@pytest.mark.parametrize(("method_class", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("layers", [2, 3])
def test_every_parameter_gets_a_gradient(
    method_class: type[SeparationMethod], options: dict[str, Any], layers: int
) -> None:
    torch.manual_seed(0)
    method = quiet(method_class(width=4, spec=spec_of(layers), **options))
    method.training_step(batch_of(layers), 0)["loss"].backward()
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.any(), name


def test_each_option_takes_its_term_away() -> None:
    torch.manual_seed(0)
    method = SILS(width=4, single_layer=10.0, spec=spec_of())

    def terms(**changes: Any) -> set[str]:
        held: dict[str, Tensor] = {}
        made = copy.deepcopy(method)
        made.hparams.update(changes)
        quiet(made)
        held.update(made.training_step(batch_of(), 0))
        assert torch.allclose(held.pop("loss"), torch.stack(list(held.values())).sum())
        return set(held)

    everything = terms()
    assert everything == {
        "generator_0", "generator_1", "discriminator_0", "discriminator_1",
        "self_supervision", "cycle_mixture", "cycle_layers", "single_layer",
    }  # fmt: skip
    assert everything - terms(cycle=False) == {"cycle_mixture", "cycle_layers"}
    assert everything - terms(self_supervision=False) == {"self_supervision"}
    assert everything - terms(single_layer=0) == {"single_layer"}


def test_only_mixtures_teach_what_batch_normalisation_uses_in_testing() -> None:
    torch.manual_seed(0)
    batch = batch_of()
    one = quiet(SILS(width=4, single_layer=10.0, spec=spec_of()))
    other = copy.deepcopy(one)
    one.training_step(batch, 0)
    other.training_step(batch._replace(layers=batch.layers * 0.1), 0)
    statistics = [name for name, _ in one.named_buffers() if "running" in name]
    assert statistics
    for name in statistics:
        assert torch.equal(one.get_buffer(name), other.get_buffer(name)), name
    assert {part.momentum for part in one.modules() if isinstance(part, nn.BatchNorm2d)} == {0.1}


@pytest.mark.parametrize("method_class", [SILS, CycleGAN, UNIT])
def test_they_take_unpaired_data_with_an_order_alone(method_class: type[SeparationMethod]) -> None:
    accepts = method_class.card.accepts
    assert accepts(spec_of()) is None
    assert accepts(spec_of(3)) is None
    assert "learns from unpaired data, these are paired: set --data.pairing=unpaired" in str(
        accepts(spec_of(pairing="paired"))
    )
    assert "needs layers with an order" in str(accepts(spec_of(ordered=False)))
    with pytest.raises(UserError, match="width 0"):
        method_class(width=0)
    if method_class is not SILS:
        with pytest.raises(UserError, match="from 1 to the data's 2 layers"):
            method_class(targets=3, spec=spec_of())
        assert method_class(width=4, spec=spec_of())(batch_of().mixture).shape == (2, 1, 3, 64, 64)


def test_codes_are_of_mixtures_and_of_each_layers_own_encoder() -> None:
    method = SILS(width=4, spec=spec_of(3)).eval()
    batch = batch_of(3)
    found = method.embed(batch)
    assert {space: list(kinds) for space, kinds in found.items()} == {
        "E_square": ["mixture", "square"],
        "E_circle": ["mixture", "circle"],
        "E_triangle": ["mixture", "triangle"],
    }
    code = method.generators[1].encode(batch.layers[:, 1])[-1]
    assert torch.equal(found["E_circle"]["circle"], F.adaptive_avg_pool2d(code, 4).flatten(1))
    assert list(method.embed(batch._replace(layers=batch.layers[:, :1]))["E_circle"]) == ["mixture"]


# Generators for photographs -----------------------------------------------------------------------


def test_vgg_features_are_vggs_and_can_learn() -> None:
    encoder = VGGEncoder(3, "random")
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        levels = encoder(image)
    assert [tuple(level.shape[1:]) for level in levels] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 2, 2)]
    assert len([part for part in encoder.modules() if isinstance(part, nn.Conv2d)]) == 16
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    state, frozen = load_vgg19("random"), VGG19Features("random")
    with torch.no_grad():
        expected = frozen(image)[0]  # relu1_1, one convolution before the first level
        expected = F.relu(F.conv2d(expected, state["2.weight"], state["2.bias"], padding=1))
    assert torch.allclose(levels[0], expected, atol=1e-5)
    assert VGGDecoder(3, 4)(levels, image).shape == (1, 3, 32, 32)


def test_a_file_that_ends_early_fills_what_it_has(tmp_path: Any) -> None:
    whole = load_vgg19("random")
    short = {name: value for name, value in whole.items() if int(name.partition(".")[0]) <= 10}
    torch.save(short, tmp_path / "short.pth")
    torch.manual_seed(0)
    one, other = VGGEncoder(3, str(tmp_path / "short.pth")), VGGEncoder(3, "random")
    pairs = list(zip(one.parameters(), other.parameters(), strict=True))
    same = [torch.equal(a, b) for a, b in pairs if a.ndim == 4]
    assert same == [True] * 5 + [False] * 11
    torch.save({**short, "5.weight": torch.zeros(2, 2)}, tmp_path / "wrong.pth")
    with pytest.raises(UserError, match="layer 5 should have 128×64×3×3 values"):
        VGGEncoder(3, str(tmp_path / "wrong.pth"))
    with pytest.raises(UserError, match="VGG19 takes 3 channels, the data have 1"):
        VGGEncoder(1, "random")


# Rivals -------------------------------------------------------------------------------------------


def test_a_replay_buffer_returns_older_work_half_of_the_time() -> None:
    buffer, given = ReplayBuffer(20), []
    for i in range(1000):
        given.append(int(buffer(torch.full((1, 1, 1, 1), float(i)))))
    assert given[:20] == list(range(20)), "until it is full, what comes in goes out"
    older = [i - value for i, value in enumerate(given[20:], start=20) if value != i]
    assert 0.45 < len(older) / 980 < 0.55
    assert min(older) > 0
    assert 25 < sum(older) / len(older) < 60, "a place lives for about 40 images"


def test_a_replay_buffer_goes_on_where_a_checkpoint_was() -> None:
    images = torch.rand(60, 3, 4, 4)
    whole, broken = ReplayBuffer(10), ReplayBuffer(10)
    expected = torch.cat([whole(part) for part in images.split(4)])
    first = torch.cat([broken(part) for part in images[:32].split(4)])
    resumed = ReplayBuffer(10)
    resumed.load_state_dict(broken.state_dict())
    rest = torch.cat([resumed(part) for part in images[32:].split(4)])
    assert torch.equal(expected, torch.cat([first, rest]))
    assert torch.equal(ReplayBuffer(0)(images), images)


def test_unit_has_the_papers_generator() -> None:
    """Three convolutions, four residual blocks, and their mirror; two blocks are shared by mixtures and layers."""

    def count(part: nn.Module) -> int:
        return sum(parameter.numel() for parameter in part.parameters())

    method = UNIT(spec=spec_of())
    (both,) = method.generators
    block = 2 * 256 * 256 * 9
    front = (3 * 64 * 49 + 64) + (64 * 128 * 9 + 128) + (128 * 256 * 9 + 256)
    assert count(both.encode_mixture) == front + 4 * block
    assert count(both.decode_layer) == 4 * block + (256 * 128 * 9 + 128) + (128 * 64 * 9 + 64) + (64 * 3 + 3)
    parts = (both.encode_mixture, both.encode_layer, both.decode_mixture, both.decode_layer)
    assert count(both) == sum(map(count, parts)) - 2 * block
    shared = {id(p) for p in both.encode_mixture.parameters()} & {id(p) for p in both.encode_layer.parameters()}
    assert shared == {id(p) for p in both.encode_mixture.shared.parameters()}
    shared = {id(p) for p in both.decode_mixture.parameters()} & {id(p) for p in both.decode_layer.parameters()}
    assert shared == {id(p) for p in both.decode_layer.shared.parameters()}


def test_all_that_units_decoder_sees_is_the_shared_code() -> None:
    torch.manual_seed(0)
    method = UNIT(width=4, targets=2, spec=spec_of()).eval()
    one, other = batch_of().mixture[:1], batch_of().mixture[1:]
    codes = method.encode(one)
    assert [tuple(code.shape) for (code,) in codes] == [(1, 16, 16, 16)] * 2
    assert torch.equal(method.decode(codes, other), method(one))


def test_noise_belongs_to_the_image() -> None:
    like = torch.zeros(2, 64, 4, 4)
    both = normal(like, ["a", "b"], "0")
    assert torch.equal(normal(like[:1], ["b"], "0")[0], both[1])
    assert not torch.equal(normal(like[:1], ["b"], "1")[0], both[1])
    assert float(both.std()) == pytest.approx(1, abs=0.05)
    assert float(both.mean()) == pytest.approx(0, abs=0.05)
    many = uniform(torch.zeros(500, 3, 2, 2), [str(i) for i in range(500)], "0")
    assert many.shape == (500, 1, 1, 1)
    assert 0 <= float(many.min()) < 0.02
    assert 0.98 < float(many.max()) < 1
    assert torch.equal(uniform(torch.zeros(1, 2), ["7"], "0").flatten(), many[7].flatten())


def test_the_dilated_decoder_uses_every_level() -> None:
    torch.manual_seed(0)
    levels = [torch.rand(1, c, 32 // d, 32 // d).requires_grad_() for c, d in ((64, 1), (128, 2), (256, 4), (512, 16))]
    picture = torch.rand(1, 3, 32, 32).requires_grad_()
    VGGDecoder(3, 4)(levels, picture).square().sum().backward()
    assert all(level.grad is not None and level.grad.any() for level in (*levels, picture))


def test_the_finest_level_of_the_simple_encoder_is_not_compared() -> None:
    torch.manual_seed(0)
    method = quiet(SILS(width=4, spec=spec_of()))
    batch = batch_of()
    codes = [generate.encode(batch.mixture) for generate in method.generators]
    seen = [generate.encode(batch.layers[:, k]) for k, generate in enumerate(method.generators)]
    expected = self_supervision([own[1:] for own in codes], [own[1:] for own in seen], 0.5, 1.0, 1.4)
    assert torch.allclose(method.training_step(batch, 0)["self_supervision"], expected, atol=1e-6)
