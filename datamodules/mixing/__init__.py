"""Image-formation models: how layers become a mixture."""

from datamodules.mixing.base import Mixing
from datamodules.mixing.blends import AlphaCompositing, Camera, Mean, Product, Ratio, Sum
from datamodules.mixing.rain import HeavyRain, LightRain, RainStreaks
from datamodules.mixing.reflection import GlassReflection
from datamodules.mixing.scattering import AtmosphericScattering, ThinClouds, YellowHaze

__all__ = [
    "AlphaCompositing",
    "AtmosphericScattering",
    "Camera",
    "GlassReflection",
    "HeavyRain",
    "LightRain",
    "Mean",
    "Mixing",
    "Product",
    "RainStreaks",
    "Ratio",
    "Sum",
    "ThinClouds",
    "YellowHaze",
]
