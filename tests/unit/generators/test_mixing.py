"""Style mixing on tiny random networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, Generator, draw, to_uint8
from gannotate.generators.build import build_generator
from gannotate.generators.mixing import mix, mixing_sheet, styles_of_seeds

ROWS, COLUMNS = [3, 40, 5], [17, 2]


def tiny(architecture: str = "stylegan2", **more: int) -> Generator:
    torch.manual_seed(0)
    more |= {"layers": 3} if architecture == "stylegan3" else {}
    shape = {"size": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
    generator = build_generator({"architecture": architecture, **shape, **more})
    for name, parameter in generator.named_parameters():
        if "noise_strength" in name:
            torch.nn.init.constant_(parameter, 0.1)
    return generator.eval()


def drawn(generator: Generator, seeds: list[int], **more) -> np.ndarray:
    return np.concatenate([to_uint8(drawing.picture) for _, drawing in draw(generator, seeds, **more)])


@pytest.mark.parametrize("architecture", ["stylegan1", "stylegan2", "stylegan3"])
def test_no_style_gives_the_row_and_every_style_the_column(architecture: str):
    generator = tiny(architecture)
    rows, columns = drawn(generator, ROWS), drawn(generator, COLUMNS)
    none = mix(generator, ROWS, COLUMNS, [])
    every = mix(generator, ROWS, COLUMNS, range(generator.style_count))
    np.testing.assert_array_equal(none.rows, rows)
    np.testing.assert_array_equal(none.columns, columns)
    for column in range(len(COLUMNS)):
        np.testing.assert_array_equal(none.mixtures[:, column], rows)
    for row in range(len(ROWS)):
        np.testing.assert_array_equal(every.mixtures[row], columns)


def test_chosen_styles_come_from_the_column():
    generator = tiny()
    mixed = mix(generator, ROWS, COLUMNS, [0, 4])
    w = styles_of_seeds(generator, [ROWS[1], COLUMNS[0]], DrawOptions())
    styles = w[0].clone()
    styles[[0, 4]] = w[1][[0, 4]]
    expected = to_uint8(generator.synthesize(styles[None]).picture)[0].astype(int)
    assert np.abs(mixed.mixtures[1, 0].astype(int) - expected).max() <= 1  # a batch of another size rounds otherwise
    assert not np.array_equal(mixed.mixtures[1, 0], mixed.rows[1])
    assert not np.array_equal(mixed.mixtures[1, 0], mixed.columns[0])


def test_truncation_and_seeded_noise_are_those_of_the_sources():
    generator = tiny()
    average = mix(generator, ROWS, COLUMNS, [1, 2], DrawOptions(psi=0.0))
    assert len({picture.tobytes() for picture in [*average.rows, *average.columns]}) == 1
    assert np.array_equal(average.mixtures[2, 1], average.rows[0])
    seeded = DrawOptions(noise="seeded")
    rows = drawn(generator, ROWS, options=seeded)
    # the row's noise at another place of its batch
    difference = mix(generator, ROWS, COLUMNS, [], seeded).mixtures[:, 0].astype(int) - rows
    assert np.abs(difference).max() <= 1
    assert not np.array_equal(rows, drawn(generator, ROWS))


def test_more_columns_than_a_chunk_holds():
    generator = tiny()
    columns = list(range(20))
    mixed = mix(generator, [7], columns, range(generator.style_count))
    np.testing.assert_array_equal(mixed.mixtures[0], drawn(generator, columns))


def test_the_class_of_a_conditional_generator():
    generator = tiny(label_dim=3)
    first, second = (mix(generator, ROWS, COLUMNS, [0, 1], label=label) for label in (0, 2))
    assert not np.array_equal(first.mixtures, second.mixtures)
    np.testing.assert_array_equal(second.rows, drawn(generator, ROWS, label=2))


@pytest.mark.parametrize("style", [-1, 6])
def test_a_style_that_is_not_there(style: int):
    with pytest.raises(UsageError, match=f"there is no style {style}; this generator has styles 0 to 5"):
        mix(tiny(), ROWS, COLUMNS, [0, style])


def test_the_sheet_has_its_pictures_where_it_says():
    mixed = mix(tiny(image_channels=1), ROWS, COLUMNS, [0, 1])
    sheet = mixing_sheet(mixed, gap_px=2, apart_px=5)
    assert sheet.shape == (16 + 5 + 3 * 18 - 2, 16 + 5 + 2 * 18 - 2, 3)
    assert (sheet[:21, :21] == 255).all()
    for row in range(3):
        assert np.array_equal(sheet[21 + 18 * row :, :16][:16], mixed.rows[row].repeat(3, axis=2))
        for column in range(2):
            place = sheet[21 + 18 * row :, 21 + 18 * column :][:16, :16]
            assert np.array_equal(place, mixed.mixtures[row, column].repeat(3, axis=2))
            assert np.array_equal(sheet[:16, 21 + 18 * column :][:, :16, :1], mixed.columns[column])
