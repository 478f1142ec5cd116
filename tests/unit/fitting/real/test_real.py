"""Schedules of the four methods, and what is refused before anything is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from gannotate.data.labelled import LabelledSet
from gannotate.decoders.fpn import FPNConfig
from gannotate.decoders.light import LightConfig
from gannotate.errors import UsageError
from gannotate.fitting.alternation import AlternationConfig
from gannotate.fitting.gradient_matching import MatchingConfig
from gannotate.fitting.maml import MAMLConfig
from gannotate.fitting.real import METHODS, Method, check_real, method_of, real_schedule
from gannotate.fitting.real_task import DrawnPictures, RealTask
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2

from .tasks import CLASSES, TINY, bright_task, changed


def test_the_paper_preset_is_the_papers() -> None:
    config = real_schedule("gradient-matching", "paper")
    assert isinstance(config, MatchingConfig)
    assert isinstance(config.decoder, FPNConfig)
    assert (config.optimizer, config.rate) == ("sgd", "constant")
    assert (config.learning_rate, config.segmenter_rate) == (1e-3, 1e-3)
    assert (config.steps, config.batch, config.generated, config.interval) == (150_000, 2, 2, 1)
    assert (config.psi, config.cutoff, config.fresh_noise, config.augment, config.ema) == (0.7, 8, True, False, 0)
    assert (config.match, config.counted, config.segmenter_state, config.pretrain) == ("all", "all", "continued", 0)
    deeplab = real_schedule("gradient-matching", "paper", segmenter="deeplabv3")
    assert (deeplab.match, deeplab.counted) == ("head", "all")  # pyright: ignore[reportAttributeAccessIssue]
    maml = real_schedule("maml", "paper", inner_steps=2, segmenter="deeplabv3")
    assert isinstance(maml, MAMLConfig)
    assert (maml.inner_steps, maml.steps, maml.optimizer) == (2, 150_000, "sgd")
    for method in ("pseudo-labels", "inversion"):
        with pytest.raises(UsageError, match=f"the paper gives no schedule for {method}; use --schedule ours"):
            real_schedule(method, "paper")


@pytest.mark.parametrize("method", get_args(Method))
def test_choices_go_before_the_schedule(method: Method) -> None:
    config = real_schedule(method, "ours", LightConfig(width=7), steps=3, learning_rate=None)
    assert config.steps == 3
    assert config.decoder == LightConfig(width=7)
    assert config.learning_rate > 0
    assert method_of(config) == method
    assert METHODS[method].config is type(config)


def test_another_segmenter_has_its_own_width() -> None:
    usual, other = (real_schedule("gradient-matching", "ours", segmenter=name) for name in ("unet-classic", "unet"))
    chosen = real_schedule("gradient-matching", "ours", segmenter="unet", segmenter_width=32)
    widths = [one.segmenter_width for one in (usual, other, chosen)]  # pyright: ignore[reportAttributeAccessIssue]
    assert widths == [8, 0, 32]


def test_settings_of_another_method_are_refused() -> None:
    with pytest.raises(UsageError, match=r"inner-steps means nothing to gradient-matching; .* use method maml"):
        real_schedule("gradient-matching", "ours", inner_steps=2)
    with pytest.raises(UsageError, match="batch means nothing to pseudo-labels"):
        real_schedule("pseudo-labels", "ours", batch=2)
    with pytest.raises(UsageError, match=r"method 'mamal' is not known; .* did you mean 'maml'"):
        real_schedule("mamal", "ours")  # pyright: ignore[reportArgumentType]
    assert real_schedule("gradient-matching", "paper", psi=0.5).cutoff is None  # pyright: ignore[reportAttributeAccessIssue]


def test_beginning_with_pseudo_labels() -> None:
    for method in ("gradient-matching", "maml"):
        plain, begun = (real_schedule(method, "ours", None, beginning) for beginning in ("nothing", "pseudo-labels"))
        assert isinstance(plain, AlternationConfig)
        assert isinstance(begun, AlternationConfig)
        assert (plain.pretrain, plain.warm_start, plain.teacher) == (0, 0, "")
        assert (begun.pretrain, begun.warm_start, begun.teacher, begun.segmenter_start) == (500, 300, "unet", "new")
        assert real_schedule(method, "ours", None, "pseudo-labels", pretrain=7) == replace(begun, pretrain=7)
    short = real_schedule("gradient-matching", "ours", None, "pseudo-labels", steps=200)
    assert isinstance(short, MatchingConfig)
    assert short.warm_start == 100  # so that something is matched
    still = real_schedule("maml", "ours", None, "pseudo-labels", augment=False, segmenter_start="pretrained")
    assert isinstance(still, MAMLConfig)
    assert (still.augment_generated, still.teacher) == (False, "")
    with pytest.raises(UsageError, match="the warm start is 300 of 200 steps, and nothing would be matched"):
        real_schedule("gradient-matching", "ours", None, "pseudo-labels", steps=200, warm_start=300)
    redrawn = real_schedule("gradient-matching", "ours", None, "inversion", inversion_steps=50)
    assert isinstance(redrawn, MatchingConfig)
    assert (redrawn.warm_from, redrawn.warm_start, redrawn.pretrain, redrawn.inversion_steps) == (
        "inversion",
        200,
        0,
        50,
    )
    with pytest.raises(UsageError, match="inversion-steps means nothing to gradient-matching unless it begins so"):
        real_schedule("gradient-matching", "ours", inversion_steps=50)
    with pytest.raises(UsageError, match="inversion-steps means nothing to maml unless it begins so"):
        real_schedule("maml", "ours", None, "pseudo-labels", inversion_steps=50)
    with pytest.raises(UsageError, match="begin pseudo-labels means nothing to inversion; leave it out"):
        real_schedule("inversion", "ours", None, "pseudo-labels")
    with pytest.raises(UsageError, match="begin 'labels' is not known; use nothing, pseudo-labels"):
        real_schedule("maml", "ours", None, "labels")  # pyright: ignore[reportArgumentType]


def test_what_cannot_teach_is_refused(tiny: StyleGAN2) -> None:
    task, config = bright_task(tiny, 2), MatchingConfig(**TINY)
    check_real(task, config)
    for changes, told in (
        ({"pictures": task.labelled.pictures[:0], "names": ()}, "no labelled pictures were given"),
        ({"pictures": task.labelled.pictures[..., :1]}, r"16x16 px with 1 channel\(s\); this fit takes 16x16 with 3"),
        ({"label_maps": np.full_like(task.labelled.label_maps, 255)}, "nothing is labelled"),
    ):
        parts: dict[str, Any] = {name: getattr(task.labelled, name) for name in ("names", "pictures", "label_maps")}
        wrong = RealTask(generator=tiny, labelled=LabelledSet(**changed(parts, **changes)), classes=CLASSES)
        with pytest.raises(UsageError, match=told):
            check_real(wrong, config)
    classy = StyleGAN2(replace(tiny.config, label_dim=3))
    with pytest.raises(UsageError, match="draws 3 classes; labels of real pictures can teach"):
        check_real(replace(task, generator=classy), config)
    with pytest.raises(UsageError, match="unet-classic has no block 'tail'"):
        check_real(task, MatchingConfig(**changed(TINY, match="tail")))


def test_pictures_are_drawn_as_the_settings_say(tiny: StyleGAN2) -> None:
    task = bright_task(tiny, 2)
    config = MatchingConfig(**TINY)
    assert config.draw_options(DrawOptions(psi=0.9)) == DrawOptions(psi=0.9)
    assert MatchingConfig(psi=0.0).draw_options(DrawOptions()) == DrawOptions(psi=0.0)
    average, _ = DrawnPictures(task, MatchingConfig(psi=0.0), ())(3)
    assert float((average - average[:1]).abs().max()) < 1e-5  # psi 0: the average picture
    various, taps = DrawnPictures(task, config, ("b8.conv1",))(3)
    assert float((various - various[:1]).abs().max()) > 1e-3
    assert taps["b8.conv1"].shape[0] == 3
    assert float(various.abs().max()) <= 1
    silent = RealTask(generator=tiny, labelled=task.labelled, classes=CLASSES, options=DrawOptions(noise="none"))
    with pytest.raises(UsageError, match="fresh noise was asked for"):
        DrawnPictures(silent, MatchingConfig(fresh_noise=True), ())
