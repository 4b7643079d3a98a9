"""The real data sets: how their folders look, where they come from, what they should hold.

Imports nothing heavy, so that they can be listed at once. A set lies under its name in ``$UNBLEND_DATA``,
either as its authors' archive unpacks or in the short layout that is named first.
"""

from __future__ import annotations

from typing import Any

from datamodules.sets.layouts import PHOTOGRAPH, Layout, RealSet

PHOTOGRAPHS = "photographs"
"""Stands for the task of sets whose images are clean: any task may train on them."""


def _pairs(mixture: str, **layers: str) -> Layout:
    """``mixture/ID.png`` with ``truth/ID.png``."""
    return Layout(rf"{mixture}/(?P<id>[^/]+)\.png", {name: f"{folder}/{{id}}.png" for name, folder in layers.items()})


_RAIN = "Yang et al., Deep Joint Rain Detection and Removal from a Single Image, CVPR 2017"
_RAIN_PAGE = "the authors' project page (Deep Joint Rain Detection and Removal)"


def _rain(name: str, title: str, count: int, top: str, origin: str = _RAIN_PAGE, **known: Any) -> RealSet:
    """Rain of Yang et al.: ``rain`` beside ``norain``, in folders of these names or by their names alone.

    Args:
        name: of the set.
        title: in the literature.
        count: of its pairs.
        top: expression of the archive's top folders.
        origin: where it is.
        **known: splits and copies.
    """
    top = f"(?P<top>{top})"
    return RealSet(
        name=name,
        task="Rain",
        title=title,
        layouts=(
            _pairs("input", background="target"),
            Layout(top + r"rain-(?P<id>\d+)\.png", {"background": "{top}norain-{id}.png"}),
            Layout(top + r"rainy/rain-(?P<id>\d+)\.png", {"background": "{top}norain-{id}.png"}),
            Layout(top + r"rain/X2/norain-(?P<id>\d+)x2\.png", {"background": "{top}norain-{id}.png"}),
            Layout(
                top + r"rain/(?:X2/)?(?:no)?rain-(?P<id>\d+)(?:x2)?\.png", {"background": "{top}norain/norain-{id}.png"}
            ),
        ),
        count=count,
        size=(320, 480) if count == 100 else None,
        citation=_RAIN,
        licence="research use",
        origin=origin,
        **known,
    )


def _sir2(name: str, title: str, count: int, official: str) -> RealSet:
    truths = {
        layer: f"{{top}}{{id}}{letter}{{rest}}.{{kind}}" for layer, letter in (("background", "g"), ("reflection", "r"))
    }
    return RealSet(
        name=name,
        task="Reflection",
        title=f"SIR2 {title}",
        layouts=(
            _pairs("blended", background="transmission_layer", reflection="reflection_layer"),
            _pairs("blended", background="transmission", reflection="reflection"),
            Layout(official + r"(?P<rest>[^/]*)\.(?P<kind>png|jpg)", truths),
        ),
        count=count,
        size=None,
        citation="Wan et al., Benchmarking Single-Image Reflection Removal Algorithms, ICCV 2017",
        licence="research use, on request",
        origin="the SIR2 benchmark's page (sir2data)",
    )


_BEHIND_GLASS = tuple(
    Layout(rf"{blended}/(?P<id>[^/]+)\.(?P<kind>png|jpg|jpeg)", {"background": f"{clear}/{{id}}.{{kind}}"})
    for blended, clear in (("blended", "transmission"), ("blended", "transmission_layer"))
)
"""Photographs through glass, with and without it; nobody knows the reflection."""


def _nature(name: str, title: str, count: int) -> RealSet:
    origin = "the authors' repository (IBCLN)"
    return RealSet(name, "Reflection", title, _BEHIND_GLASS, count, None, _NATURE, "research use", origin)


def _photographs(name: str, title: str, count: int, citation: str, origin: str, digest: str) -> RealSet:
    """A flat folder of clean images."""
    layout = Layout(r"(?P<id>[^/]+)" + PHOTOGRAPH, shown="image files")
    copies = {digest: "all images, as PNG" if count > 2 else "both images, as JPEG"}
    return RealSet(name, PHOTOGRAPHS, title, (layout,), count, None, citation, "research use", origin, copies)


_RAIN_OLD = "the deraining literature (PReNet's RainTrainL and RainTrainH): the authors' page has Rain200L and Rain200H"
_PLNET = "Zhang et al., Single Image Reflection Separation with Perceptual Losses, CVPR 2018"
_NATURE = "Li et al., Single Image Reflection Removal through Cascaded Refinement, CVPR 2020"
_DEHAZING = "Li et al., Benchmarking Single-Image Dehazing and Beyond, IEEE TIP 2019"
_RICE = "Lin et al., A Remote Sensing Image Dataset for Cloud Removal, 2019"


def _reside(name: str, title: str, count: int, top: str) -> RealSet:
    """A training set of RESIDE: ``hazy/SCENE_….png`` with ``clear/SCENE.png``; OTS's hazy images lie in four parts."""
    hazy = rf"(?P<top>{top})(?:hazy|haze)/(?:part\d/)?(?P<id>(?P<scene>\d+)_[\d._]*\d)\.(?P<kind>png|jpg)"
    return RealSet(
        name=name,
        task="Haze",
        title=title,
        layouts=tuple(
            Layout(hazy, {"background": f"{{top}}{clear}/{{scene}}.{{kind}}"}) for clear in ("clear", "gt", "GT")
        ),
        count=count,
        size=None,
        citation=_DEHAZING,
        licence="research use",
        origin="the RESIDE data sets' page (training sets)",
        centre_crop=True,
    )


_ALL = (
    _rain(
        "rain100l",
        "Rain100L",
        100,
        r"(?:rain_data_test_Light/)?(?:rain_light_test/)?",
        splits=("rain100l", "rain100l-old"),
        copies={"fd77d7171284d6c22f4bc3484cd63021a8a99bc95e4e6b38de980cce289e77c3": "the whole test set"},
    ),
    _rain("rain100h", "Rain100H", 100, r"(?:rain_data_test_Heavy/)?(?:rain_heavy_test/)?"),
    _rain("raintrainl", "RainTrainL", 200, r"(?:RainTrainL/)?", _RAIN_OLD),
    _rain("raintrainh", "RainTrainH", 1800, r"(?:RainTrainH/)?", f"{_RAIN_OLD}; 1,254 without Rain100H's images"),
    _rain("rain200l", "Rain200L", 200, r"(?:rain_data_test_Light/)?"),
    _rain("rain200h", "Rain200H", 200, r"(?:rain_data_test_Heavy/)?"),
    _rain("rain200l_train", "Rain200L, training", 1800, r"(?:rain_data_train_Light/)?"),
    _rain("rain200h_train", "Rain200H, training", 1800, r"(?:rain_data_train_Heavy/)?"),
    RealSet(
        name="real20",
        task="Reflection",
        title="Real20",
        layouts=_BEHIND_GLASS,
        count=20,
        size=None,
        citation=_PLNET,
        copies={"5ee7f2a90f4f84820f9ff30fc81b3f4feaffd67517081c52a8a5e467bfc59453": "all 20 pairs, short side 300"},
        licence="research use",
        origin="the authors' repository (perceptual-reflection-removal); short side 300, 420 or 512 in the field",
    ),
    RealSet(
        name="real88",
        task="Reflection",
        title="Real88 (the real training pairs)",
        layouts=_BEHIND_GLASS,
        count=88,
        size=None,
        citation=_PLNET,
        splits=("real81", "real88"),
        copies={"090dd4342f9bb88ba35aaa6b22c28450c59019c868dc8501768a511a4869277b": "all 88 pairs, short side 384"},
        licence="research use",
        origin="the authors' repository (perceptual-reflection-removal): its 89 or 90 training pairs without no. 77",
    ),
    _nature("nature", "Nature", 20),
    _nature("nature_train", "Nature, training", 200),
    RealSet(
        name="ceilnet_synthetic",
        task="Reflection",
        title="CEILNet synthetic",
        layouts=(
            _pairs("blended", background="transmission", reflection="reflection"),
            _pairs("blended", background="transmission_layer", reflection="reflection_layer"),
            Layout(
                r"(?P<id>[^/]+)-input\.png",
                {"background": "{id}-label1.png", "reflection": "{id}-label2.png"},
            ),
        ),
        count=100,
        size=(224, 224),
        citation="Fan et al., A Generic Deep Architecture for Single Image Reflection Removal, ICCV 2017",
        copies={"373be01409ebf00b83637d2f0308d8b58d73839fd2df536e30989f66ba43df07": "all 100 triples"},
        licence="research only",
        origin="the authors' repository (CEILNet), testdata_reflection_synthetic_table2",
    ),
    _sir2("sir2_solid", "solid objects", 200, r"(?P<top>(?:SolidObjectDataset/)?)(?P<id>(?:[^/]+/){3})m"),
    _sir2("sir2_postcard", "postcards", 199, r"(?P<top>(?:Postcard Dataset/)?)(?P<id>(?:[^/]+/){3}[^/m]*)m"),
    _sir2("sir2_wild", "wild scenes", 55, r"(?P<top>(?:WildSceneDataset/)?)(?P<id>withgt/[^/]+/)m"),
    RealSet(
        name="sots_indoor",
        task="Haze",
        title="RESIDE SOTS indoor",
        layouts=(
            _pairs("hazy", background="clear"),
            Layout(
                r"(?P<top>(?:SOTS/)?(?:indoor/)?(?:nyuhaze500/)?)hazy/(?P<id>(?P<scene>\d+)_\d+)\.png",
                {"background": "{top}gt/{scene}.png"},
            ),
        ),
        count=500,
        size=(460, 620),
        citation=_DEHAZING,
        copies={"0c48b8dbfe816dca112486818f8099f7bbdf853f0e3a2247e9cf5553c69d4026": "20 scenes, hazes 2 and 8"},
        licence="research use",
        origin="the RESIDE data sets' page (SOTS)",
        centre_crop=True,
    ),
    RealSet(
        name="sots_outdoor",
        task="Haze",
        title="RESIDE SOTS outdoor",
        layouts=(
            Layout(
                r"(?P<top>(?:SOTS/)?(?:outdoor/)?)hazy/(?P<id>(?P<scene>\d+)_[\d._]+\d)\.(?:jpg|png)",
                {"background": "{top}gt/{scene}.png"},
            ),
            _pairs("hazy", background="clear"),
        ),
        count=500,
        size=None,
        citation=_DEHAZING,
        licence="research use",
        origin="the RESIDE data sets' page (SOTS)",
        centre_crop=True,
    ),
    _reside("its", "RESIDE ITS (indoor training)", 13_990, r"(?:ITS/)?(?:ITS_v2/)?(?:train/)?"),
    _reside("ots", "RESIDE OTS (outdoor training)", 72_135, r"(?:OTS/)?(?:OTS_BETA/)?(?:train/)?"),
    RealSet(
        name="o_haze",
        task="Haze",
        title="O-HAZE",
        layouts=(
            Layout(
                r"(?P<top>(?:[^/]+/)?)hazy/(?P<id>\d+)_outdoor_hazy\.(?P<kind>(?i:jpg))",
                {"background": "{top}GT/{id}_outdoor_GT.{kind}"},
            ),
        ),
        count=45,
        size=None,
        citation="Ancuti et al., O-HAZE: a Dehazing Benchmark, CVPR Workshops 2018",
        licence="research use",
        origin="the NTIRE 2018 dehazing challenge's page (O-HAZE)",
    ),
    RealSet(
        name="dcpdn_testa",
        task="Haze",
        title="TestA-DCPDN",
        layouts=(Layout(r"(?P<top>(?:[^/]+/)?)(?P<id>\d+)\.h5", {"background": "{top}{id}.h5#gt"}),),
        count=400,
        size=(512, 512),
        citation="Zhang & Patel, Densely Connected Pyramid Dehazing Network, CVPR 2018",
        licence="research use",
        origin="the authors' repository (DCPDN), TestA",
    ),
    RealSet(
        name="rice1",
        task="Clouds",
        title="RICE-I",
        layouts=(
            _pairs("cloudy", background="clear"),
            Layout(r"(?P<top>(?:RICE1/)?)cloud/(?P<id>\d+)\.png", {"background": "{top}label/{id}.png"}),
        ),
        count=500,
        size=(512, 512),
        citation=_RICE,
        splits=("rice1",),
        copies={"f7d65967f6099ec420d51963d2147e896ae657441ccd96fd5603290b3975d17c": "100 pairs at half size"},
        licence="research use",
        origin="the authors' repository (RICE_DATASET)",
    ),
    # No split file: nobody published a split, and none of the images, whose digests it would hold, was at hand.
    RealSet(
        name="rice2",
        task="Clouds",
        title="RICE-II",
        layouts=(
            _pairs("cloudy", background="clear"),
            Layout(r"(?P<top>(?:RICE2/)?)cloud/(?P<id>\d+)\.png", {"background": "{top}label/{id}.png"}),
        ),
        count=736,
        size=(512, 512),
        citation=_RICE,
        licence="research use",
        origin="the authors' repository (RICE_DATASET); papers count 450, 700 or 736",
    ),
    RealSet(
        name="mit_intrinsic",
        task="Intrinsic",
        title="MIT Intrinsic Images",
        layouts=(
            Layout(
                r"(?P<top>(?:data/)?)(?P<id>[^/]+)/diffuse\.png",
                {"albedo": "{top}{id}/reflectance.png", "shading": "{top}{id}/shading.png"},
                mask="{top}{id}/mask.png",
            ),
        ),
        count=20,
        size=None,
        citation="Grosse et al., Ground Truth Dataset and Baseline Evaluations for Intrinsic Images, ICCV 2009",
        copies={"5b8181aa450096fc0517c1e29997e84a7c01aa0e3500035b74791ad4703c5e39": "all 20 objects"},
        licence="research and education only",
        origin="the authors' project page (MIT Intrinsic Images)",
        train=("apple", "box", "cup1", "dinosaur", "frog1", "panther", "paper1", "phone", "squirrel", "teabag2"),
    ),
    RealSet(
        name="shoes_handbags",
        task="ShoesHandbags",
        title="shoes and handbags",
        layouts=(
            Layout(
                r"(?P<id>(?:train|val)/(?:shoes|handbags)/[^/]+)" + PHOTOGRAPH,
                shown="{train,val}/{shoes,handbags}/*.jpg",
            ),
        ),
        count=1200,
        size=(256, 256),
        citation="Yu & Grauman, CVPR 2014; Zhu et al., ECCV 2016; Isola et al., CVPR 2017",
        copies={"f93a86f32cb0acd552ceb455b17a2faa61915c4427e0e53ee1a04435200555d1": "500 + 500 and 100 + 100"},
        licence="research use",
        origin="pix2pix's edges2shoes and edges2handbags, the photograph half",
    ),
    RealSet(
        name="bsds500",
        task=PHOTOGRAPHS,
        title="BSDS500",
        layouts=(
            Layout(
                r"(?P<top>(?:BSR/)?(?:BSDS500/data/images/)?)(?P<id>(?:train|val|test)/[^/]+)" + PHOTOGRAPH,
                shown="{train,val,test}/*.jpg",
            ),
        ),
        count=500,
        size=(321, 481),
        citation="Arbelaez et al., Contour Detection and Hierarchical Image Segmentation, IEEE TPAMI 2011",
        copies={"eb45ddf787614d9a1dd1f387c01dabf536660240d282a2de6f7a4ba9426423c9": "all 500 photographs"},
        licence="research use",
        origin="the Berkeley Segmentation Data Set's page",
    ),
    RealSet(
        name="nyu_depth",
        task=PHOTOGRAPHS,
        title="NYU Depth v2",
        layouts=(
            Layout(r"(?P<id>[^/]+)\.(?:jpg|png)", depth="depth/{id}.png"),
            Layout(r"(?P<top>(?:ITS/)?(?:ITS_v2/)?(?:train/)?)clear/(?P<id>\d+)\.png", depth="{top}trans/{id}_1.png"),
        ),
        count=1399,
        size=None,
        citation="Silberman et al., Indoor Segmentation and Support Inference from RGBD Images, ECCV 2012",
        copies={
            "f3e574aa1b5e04dfb7283d5136976eefe42f1f23caa6a3ab1c3b4bee3a8afe2b": "400 scenes of RESIDE's training set"
        },
        licence="research use",
        origin="the RESIDE data sets' page (ITS: clear and trans), or the NYU Depth v2 page without the scenes of SOTS",
    ),
    _photographs(
        "set5",
        "Set5",
        5,
        "Bevilacqua et al., BMVC 2012",
        "the super-resolution literature",
        "7ef0b885de9e458f19fa31635c4444da2a15430465cb2441398131ca01e5a582",
    ),
    _photographs(
        "set14",
        "Set14",
        14,
        "Zeyde et al., Curves and Surfaces 2010",
        "the super-resolution literature",
        "cabcaaa5fd7172cdff262e80021dddc01cd7f2397ba16e3481a39c421dcb8e23",
    ),
    _photographs(
        "bitsnet_pair",
        "BITS-Net's pair (Set5's baby and bird)",
        2,
        "Zhou et al., BITS-Net; Bevilacqua et al., BMVC 2012",
        "BITS-Net's authors",
        "b9d92862a2df115b143599f023b29bcaa387740e0f3756da16fe4cb3a4a2c2b4",
    ),
    RealSet(
        name="mnist",
        task="Digits",
        title="MNIST",
        layouts=(
            Layout(r"(?P<id>(?:train|t10k)-images-idx3-ubyte)(?:\.gz)?", shown="{train,t10k}-images-idx3-ubyte.gz"),
        ),
        count=2,
        size=None,
        citation="LeCun, Cortes & Burges, The MNIST database of handwritten digits",
        copies={"a3a91718ad88c0e8040da088fdf5f576193025ff0f35d32c1886c089c3e12bb8": "the official images"},
        licence="CC BY-SA 3.0",
        origin="the MNIST database's page",
    ),
)

SETS: dict[str, RealSet] = {data.name: data for data in _ALL}
"""Name -> real data set."""
