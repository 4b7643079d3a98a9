"""DMGN: its equations, its options, and what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.mixing import Ratio
from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.dmgn import DMGN
from methods.losses.adversarial import adversarial_losses, gradient_penalty
from methods.losses.perceptual import perceptual
from methods.networks.deep_masking import AdaptedChannelAttention, MaskingCell
from methods.networks.hypercolumn import Hypercolumn
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.networks.vgg import VGG19Features

ROWS: dict[str, dict[str, Any]] = {
    "base": {"cell": "plain", "noise_branch": False},
    "RDMC": {"noise_branch": False},
    "R-RDMC": {"regularize_source": False},
    "coarse": {"output": "coarse"},
    "DMGN": {},
    "without adversarial": {"adversarial": 0.0},
    "without perceptual": {"perceptual": 0.0},
    "masks left alone": {"regularize_mask": False},
}


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small truncated normalised VGG19, as style transfer has it."""
    generator, state = torch.Generator().manual_seed(0), {}
    shapes = {0: (3, 3, 1), 2: (64, 3, 3), 5: (64, 64, 3), 9: (128, 64, 3), 12: (128, 128, 3), 16: (256, 128, 3)}
    for number, (after, before, size) in shapes.items():
        state[f"{number}.weight"] = torch.randn(after, before, size, size, generator=generator) / (before * size) ** 0.5
        state[f"{number}.bias"] = torch.randn(after, generator=generator) / 10
    path = tmp_path_factory.mktemp("weights") / "vgg.pth"
    torch.save(state, path)
    return str(path)


def batch(size: int = 32, count: int = 2) -> LayerBatch:
    generator = torch.Generator().manual_seed(0)
    layers = torch.rand(count, 2, 3, 4, 4, generator=generator)
    layers = torch.nn.functional.interpolate(layers.flatten(0, 1), size=(size, size), mode="bilinear")
    layers = layers.view(count, 2, 3, size, size)
    mixing = Ratio(0.7)
    parameters = {"ratio": torch.full((count,), 0.7)}
    mask = torch.ones(count, 1, size, size, dtype=torch.bool)
    return LayerBatch(mixing.forward(layers, parameters), layers, mask, list("abcd")[:count])


def train(method: DMGN, data: LayerBatch, steps: int, lr: float = 2e-3) -> list[float]:
    """Losses of so many steps of Adam; gradients are those of the last one."""
    optimizer = torch.optim.Adam(method.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = step(method, data)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def spec_of(*layers: str) -> LayerSpec:
    return LayerSpec(
        layers=list(layers), scored=[layers[0]], ordered=True, channels=3, scale=1, mixing="", gain=1.0, fusion="sum",
        gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


def step(method: DMGN, data: LayerBatch) -> Tensor:
    method.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method.training_step(data, 0)["loss"]


@pytest.mark.parametrize("row", ROWS)
def test_every_parameter_of_every_row_gets_a_gradient(row: str, vgg_file: str) -> None:
    torch.manual_seed(0)
    method = DMGN(width=8, features=vgg_file, **ROWS[row])
    train(method, batch(), steps=2)  # at the start the last layers are zero, and what is before them learns nothing
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
    layers = method(batch().mixture)
    assert layers.shape == (2, 1 if not ROWS[row].get("noise_branch", True) else 2, 3, 32, 32)


def test_rows_build_on_one_another(vgg_file: str) -> None:
    counts = {
        row: sum(p.numel() for name, p in DMGN(width=8, features=vgg_file, **options).named_parameters()
                 if "critic" not in name)
        for row, options in ROWS.items()
    }  # fmt: skip
    assert counts["base"] < counts["RDMC"] < counts["R-RDMC"] < counts["DMGN"] == counts["without adversarial"]
    assert counts["coarse"] < counts["DMGN"]


@pytest.mark.parametrize("options", [{"width": 0}, {"cell": "plain", "regularize_mask": True}])
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="plain cells have no mask"):
        DMGN(features="random", **options)


def test_a_cell_is_equation_5_and_10() -> None:
    cell, x = MaskingCell(4), torch.rand(1, 4, 8, 8)
    h = cell.transform(x)
    assert cell.mask is not None
    m = cell.mask(h)
    assert m.shape == (1, 1, 8, 8)
    assert torch.allclose(cell(x), x + m * h)
    where = torch.rand(1, 1, 8, 8)
    assert torch.allclose(cell(x, where, 0.4), x + (m + 0.4 * where) / 1.4 * h)
    plain = MaskingCell(4, "plain")
    assert torch.allclose(plain(x), x + plain.transform(x))


def test_channel_attention_is_equation_7_and_8() -> None:
    attention, x = AdaptedChannelAttention(16), torch.rand(2, 16, 16, 20)
    mirrored = F.pad(x, (1, 1, 1, 1), mode="reflect")
    small = torch.relu(F.conv2d(mirrored, attention.shrink.weight, stride=4, groups=16))
    assert small.shape == (2, 16, 4, 5)
    sharp = torch.sigmoid(attention.sharpness * small) * small
    weights = attention.excite(sharp.mean((2, 3)))
    assert torch.allclose(attention(x), weights.view(2, 16, 1, 1) * x)


@pytest.mark.parametrize("size", [(32, 32), (36, 52), (3, 5)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_hypercolumn_is_its_plain_formula(size: tuple[int, int], count: int) -> None:
    torch.manual_seed(0)
    channels = [6, 5, 4, 3, 2][:count]
    head = Hypercolumn(channels, 7).double()
    image = torch.rand(2, 3, *size, dtype=torch.float64, requires_grad=True)
    sizes = [[max(1, side // 2**level) for side in size] for level in range(count)]
    levels = [torch.randn(2, c, *s, dtype=torch.float64) for c, s in zip(channels, sizes, strict=True)]
    large = [F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in levels]
    expected = F.relu(head.second(F.relu(head.first(torch.cat([image, *large], 1)))))
    found = head(image, levels)
    assert torch.allclose(found, expected, atol=1e-12)
    gradients = [torch.autograd.grad((out**2).sum(), [image, *head.parameters()]) for out in (expected, found)]
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(*gradients, strict=True))


def test_the_refinement_decays_as_equation_10(vgg_file: str) -> None:
    method = DMGN(width=8, features=vgg_file)
    assert method.refine is not None
    weights: list[float] = []
    for cell in method.refine.cells:
        cell.register_forward_pre_hook(lambda _, inputs: weights.append(inputs[2]))
    method(batch().mixture)
    assert weights == pytest.approx([0.4 * 0.5**n for n in range(6)])


def test_checkpointing_changes_no_gradient(vgg_file: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        method = DMGN(width=8, features=vgg_file, checkpointing=checkpointing)
        train(method, batch(), steps=2)
        gradients.append({name: p.grad for name, p in method.named_parameters()})
    for name, gradient in gradients[0].items():
        other = gradients[1][name]
        assert gradient is not None
        assert other is not None
        assert torch.allclose(gradient, other, atol=1e-6), name


NOISES = {"rain": True, "haze": True, "cloud": True, "reflection": False}
"""Noise layers, and whether the authors' model for them leaves Eq. 9 and 10 out and starts R from black."""


@pytest.mark.parametrize("noise", [None, *NOISES])
@pytest.mark.parametrize("row", ["base", "coarse", "DMGN"])
def test_clean_in_clean_out_at_the_start(noise: str | None, row: str, vgg_file: str) -> None:
    spec, mixture = spec_of("background", noise) if noise else None, batch(40).mixture
    method = DMGN(width=8, features=vgg_file, spec=spec, **ROWS[row]).eval()
    with torch.no_grad():
        found = method.generate(2 * mixture - 1)
        layers = method(mixture)
    for background in (layers[:, 0], found.coarse / 2 + 0.5):
        assert torch.allclose(background, mixture, atol=1e-6)
    if found.noise is not None:
        black = bool(noise and NOISES[noise])
        assert torch.allclose(layers[:, 1], torch.zeros_like(mixture) if black else mixture, atol=1e-6)


@pytest.mark.parametrize("noise", NOISES)
def test_masks_are_left_alone_where_the_authors_do(noise: str, vgg_file: str) -> None:
    method = DMGN(width=8, features=vgg_file, spec=spec_of("background", noise))
    assert (method.distribution is None) == NOISES[noise]
    asked = DMGN(width=8, features=vgg_file, regularize_mask=True, spec=spec_of("background", noise))
    assert asked.distribution is not None
    assert asked.attend is not None


def test_pairs_with_one_true_layer_train_it_without_its_noise_branch(vgg_file: str) -> None:
    spec, data = spec_of("background"), batch()
    method = DMGN(width=8, features=vgg_file, noise_branch=False, spec=spec)
    assert method.card.accepts(spec) is None
    assert method.card.accepts(spec_of("background", "rain", "haze")) is None
    losses = train(method, data._replace(layers=data.layers[:, :1]), steps=3)
    assert all(torch.isfinite(torch.tensor(losses)))
    assert method(data.mixture).shape == (2, 1, 3, 32, 32)
    whole = DMGN(width=8, features=vgg_file, spec=spec)
    assert whole.card.accepts(spec) == "DMGN takes 2 layers, the data have 1"


def test_features_are_computed_once_for_each_picture_of_a_step(vgg_file: str) -> None:
    method, seen = DMGN(width=8, features=vgg_file), []
    method.vgg.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    step(method, batch())
    # The mixture, the coarse background, the noise, the two truths together, the refined background.
    assert seen == [2, 2, 2, 4, 2]
    seen.clear()
    step(DMGN(width=8, features=vgg_file, perceptual=0.0), batch())
    method(batch().mixture)
    assert seen == [2, 2, 2]


def test_the_perceptual_loss_reaches_what_it_judges_and_the_hypercolumn_passes_nothing_on(vgg_file: str) -> None:
    def gradient(**options: Any) -> Tensor:
        torch.manual_seed(0)
        method = DMGN(width=8, features=vgg_file, adversarial=0.0, **options)
        step(method, batch()).backward()  # type: ignore[no-untyped-call]
        weight = method.background.last[2].weight.grad
        assert weight is not None
        return weight

    assert not torch.allclose(gradient(perceptual=0.1), gradient(perceptual=0.0))
    method = DMGN(width=8, features=vgg_file, adversarial=0.0, perceptual=0.0)
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    assert all(not level.requires_grad for level in method._look(image))
    assert all(level.requires_grad for level in DMGN(width=8, features=vgg_file)._look(image))


def test_it_learns() -> None:
    torch.manual_seed(1)
    data = batch()
    method = DMGN(width=8, features="random", levels=2, perceptual=0.0, adversarial=0.0)
    losses = train(method, data, steps=40)
    assert losses[-1] < 0.7 * losses[0], "from the mixture on, which the first loss is that of"


# Losses and features ---------------------------------------------------------------------------------


def test_adversarial_losses_reach_their_own_network_only() -> None:
    critic = PatchDiscriminator(3, 8, bias=False)
    fake, real = torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 3, 32, 32)
    generator, discriminator = adversarial_losses(critic, fake, real)
    generator.backward(retain_graph=True)
    assert fake.grad is not None
    assert float(fake.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in critic.parameters())
    fake.grad = None
    discriminator.backward()
    assert fake.grad is None
    assert all(parameter.grad is not None for parameter in critic.parameters())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("wasserstein", (-2.0, 2.0 - 5.0)),
        ("least-squares", (1.0, (4.0 + 16.0) / 2)),
        ("cross-entropy", (0.126928, (2.126928 + 0.006715) / 2)),
    ],
)
def test_adversarial_losses_are_their_formulas(kind: Any, expected: tuple[float, float]) -> None:
    class Mean(torch.nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.mean((1, 2, 3))

    fake, real = torch.full((1, 3, 2, 2), 2.0), torch.full((1, 3, 2, 2), 5.0)
    found = adversarial_losses(Mean(), fake, real, kind=kind)
    assert [float(value) for value in found] == pytest.approx(list(expected), abs=1e-5)


def test_the_critic_leads_nowhere_that_is_worse_than_the_mixture() -> None:
    """Its slope is held near one: a critic of large slopes outweighs all other losses, and backgrounds become black."""
    torch.manual_seed(0)
    data = batch()
    method = DMGN(width=8, features="random", levels=1, perceptual=0.0)
    train(method, data, steps=40)
    assert method.critic is not None
    pairs = torch.cat([data.layers[:, 0], data.mixture], 1)
    assert float(gradient_penalty(method.critic, pairs, pairs, "one-centred").detach()) < 1
    error = ((image - data.layers[:, 0]).abs().mean() for image in (method(data.mixture)[:, 0], data.mixture))
    assert next(error) < next(error)


def test_a_critic_of_patches_is_normalised_within_and_may_have_no_last_bias() -> None:
    assert sum("InstanceNorm" in type(module).__name__ for module in PatchDiscriminator(6)) == 3
    assert not [name for name, _ in PatchDiscriminator(6, bias=False).named_parameters() if name == "11.bias"]
    assert [name for name, _ in PatchDiscriminator(6).named_parameters() if name == "11.bias"]


def test_random_features_are_the_same_each_time_and_keep_activations_size() -> None:
    one, two = VGG19Features("random"), VGG19Features("random")
    image = torch.rand(1, 3, 64, 64)
    for a, b in zip(one(image), two(image), strict=True):
        assert torch.equal(a, b)
        assert 0.05 < float(a.std()) < 20
    assert one.channels == [64, 128, 256, 512, 512]
    assert [f.shape[-1] for f in one(image)] == [64, 32, 16, 8, 4]
    assert not list(one.parameters())
    assert not one.state_dict()


def test_the_normalised_network_is_its_layers(vgg_file: str) -> None:
    features, state = VGG19Features(vgg_file), torch.load(vgg_file, weights_only=True)
    image = torch.rand(1, 3, 16, 16)
    x = torch.nn.functional.conv2d(image, state["0.weight"], state["0.bias"])
    pad = torch.nn.ReflectionPad2d(1)
    expected = []
    for number in (2, 5, 9, 12, 16):
        x = torch.relu(torch.nn.functional.conv2d(pad(x), state[f"{number}.weight"], state[f"{number}.bias"]))
        if number in (2, 9, 16):
            expected.append(x)
        if number in (5, 12):
            x = torch.nn.functional.max_pool2d(x, 2)
    assert features.channels == [64, 128, 256]
    for ours, theirs in zip(features(image), expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_fewer_levels_are_the_first_ones(vgg_file: str) -> None:
    image = torch.rand(1, 3, 32, 32)
    for weights in ("random", vgg_file):
        every, two = VGG19Features(weights)(image), VGG19Features(weights, levels=2)(image)
        assert len(two) == 2
        assert all(torch.equal(a, b) for a, b in zip(two, every[:2], strict=True))
    with pytest.raises(UserError, match="levels 6: VGG19 has 1 to 5"):
        VGG19Features("random", levels=6)


def test_torchvisions_layout_is_read(tmp_path: Path) -> None:
    from methods.networks.vgg import _random

    state = {f"features.{name}": value for name, value in _random().items()}
    state |= {"features.30.weight": torch.rand(1), "classifier.0.weight": torch.rand(2, 2)}
    torch.save(state, tmp_path / "vgg19.pth")
    image = torch.rand(1, 3, 32, 32)
    loaded, random = VGG19Features(str(tmp_path / "vgg19.pth")), VGG19Features("random")
    assert all(torch.equal(a, b) for a, b in zip(loaded(image), random(image), strict=True))


def test_weights_that_are_not_there_or_not_vggs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no weights nowhere\.pth: give timm, random, or the path"):
        VGG19Features("nowhere.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match=r"cannot read the weights .*text\.pth"):
        VGG19Features(str(tmp_path / "text.pth"))
    torch.save({"layer.weight": torch.rand(2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"are not VGG19's: there is no 0\.weight"):
        VGG19Features(str(tmp_path / "other.pth"))
    torch.save({"0.weight": torch.rand(64, 3, 3, 3), "0.bias": torch.rand(63)}, tmp_path / "half.pth")
    torch.save({"0.weight": torch.rand(32, 3, 3, 3), "0.bias": torch.rand(32)}, tmp_path / "thin.pth")
    with pytest.raises(UserError, match="layer 0 should have 64×3×3×3"):
        VGG19Features(str(tmp_path / "thin.pth"))
    import timm

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError, match="choose random weights, or the path of a local state dict"):
        VGG19Features("timm")


def test_the_perceptual_loss_is_equation_12() -> None:
    features = VGG19Features("random")
    estimate, truth = torch.rand(2, 2, 3, 32, 32).unbind(0)
    expected = sum(float((a - b).abs().mean()) for a, b in zip(features(estimate), features(truth), strict=True))
    assert float(perceptual(features(estimate), features(truth))) == pytest.approx(expected, rel=1e-5)
    assert float(perceptual(features(truth), features(truth))) == 0
