"""Image-formation models: how layers become a mixture."""

from datamodules.mixing.base import Mixing
from datamodules.mixing.blends import AlphaCompositing, Camera, Mean, Product, Ratio, Sum
from datamodules.mixing.clouds import ScatteredClouds, ThinClouds
from datamodules.mixing.rain import HeavyRain, LightRain, RainStreaks
from datamodules.mixing.reflection import CEILNetReflection, GlassReflection
from datamodules.mixing.scattering import AtmosphericScattering, YellowHaze

__all__ = [
    "AlphaCompositing",
    "AtmosphericScattering",
    "CEILNetReflection",
    "Camera",
    "GlassReflection",
    "HeavyRain",
    "LightRain",
    "Mean",
    "Mixing",
    "Product",
    "RainStreaks",
    "Ratio",
    "ScatteredClouds",
    "Sum",
    "ThinClouds",
    "YellowHaze",
]
