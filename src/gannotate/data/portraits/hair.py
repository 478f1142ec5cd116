"""Hair: what falls behind the neck, what falls over the shoulders, and the cap with its window onto the face."""

from __future__ import annotations

import math

import numpy as np

from gannotate.data.portraits.canvas import Canvas
from gannotate.data.portraits.classes import HAIR
from gannotate.data.portraits.head import face_distance, head_frame
from gannotate.data.portraits.noise import lines, smooth_noise
from gannotate.data.portraits.palette import Looks
from gannotate.data.portraits.person import Person
from gannotate.data.portraits.shapes import Field, ellipse, smooth
from gannotate.data.portraits.surface import hair_surface, lambert
from gannotate.seeding import numpy_stream


class HairPainter:
    """The hair of one portrait: one surface, painted in three passes between the other parts."""

    def __init__(self, canvas: Canvas, seed: int, person: Person, looks: Looks):
        self.person, self.looks = person, looks
        self.frame = head_frame(canvas, person)
        if person.hair.style == "bald":
            return
        shape = numpy_stream("portraits", seed, "hair outline")
        texture = numpy_stream("portraits", seed, "hair texture", looks.style)
        self.bumps = person.hair.bumps * smooth_noise(shape, canvas.size, 11)
        self.fringe_teeth = 0.05 * lines(shape, self.frame.u, 14, 1.2)
        hair, face = person.hair, person.face
        u, v = self.frame.u, self.frame.v
        fine = smooth_noise(texture, canvas.size, 16)
        surface = hair_surface(u, v, fine, looks, texture, hair.style == "curly")
        reach = hair.volume * 1.1
        self.surface = surface * lambert(u, v * 0.8, face.width * reach, face.height * reach, looks)

    def paint_behind(self) -> None:
        """Before the neck: the curtain of longer hair, and a bun."""
        hair, face = self.person.hair, self.person.face
        if hair.fall:
            self._paint(self._curtain(), darker=0.72)
        if hair.style == "bun":
            side = 0.25 * hair.sweep - 0.3 * math.sin(self.person.pose.yaw)
            bun = ellipse(self.frame.u - side, self.frame.v + face.height * 1.18, 0.2, 0.17)
            self._paint(bun + self.bumps, darker=0.85)

    def paint_over_shoulders(self) -> None:
        """After the clothes: long hair that falls to the front, beside the neck."""
        hair = self.person.hair
        if hair.front:
            beside = self.person.face.width * 0.72 - np.abs(self.frame.u)
            self._paint(np.maximum(self._curtain(), beside), darker=0.85)

    def paint_cap(self) -> None:
        """After the face: the hair on top with fringe and sides, and its shadow on the forehead."""
        if self.person.hair.style == "bald":
            return
        cap = self._cap()
        if self.looks.shaded:
            shadow = smooth(0.5 - (np.roll(cap, max(1, round(0.05 / self.frame.pixel)), axis=0)) * 9)
            skin = self.frame.cover(face_distance(self.person, self.frame.u, self.frame.v))
            self.frame.shade(1 - 0.3 * shadow * skin)
        self._paint(cap)

    def _paint(self, distance: Field, darker: float = 1.0) -> None:
        self.frame.paint(distance, self.surface * darker, HAIR)

    def _curtain(self) -> Field:
        """A rounded curtain from the crown to where the hair falls, a little wider below."""
        hair, face = self.person.hair, self.person.face
        u, v = self.frame.u + 0.15 * face.width * math.sin(self.person.pose.yaw), self.frame.v
        width = face.width * hair.fall_width
        upper = ellipse(u, np.minimum(v, 0), width, face.height)
        end = v - hair.fall + 0.35 * (u * u) / width
        return np.maximum(np.maximum(upper, end), np.abs(u) - width) + self.bumps

    def _cap(self) -> Field:
        """Outline of the hair minus the window onto the face, cut where the sides end."""
        hair, face, sine = self.person.hair, self.person.face, math.sin(self.person.pose.yaw)
        u, v = self.frame.u, self.frame.v
        thick = hair.volume * face.width
        top = face.height * (1 + 0.75 * (hair.volume - 1))
        outer = ellipse(u + 0.12 * face.width * sine, np.minimum(v, 0.0), thick, top, 0.15) + self.bumps
        swell = ellipse(u + 0.12 * face.width * sine, v * 0.8, thick, top, 0.3) + self.bumps
        outer = np.maximum(np.maximum(outer, swell), v - hair.side_end)
        return np.maximum(outer, -self._window())

    def _window(self) -> Field:
        """Distance to the region where the face shows: an arch over vertical sides; the fringe shapes its top."""
        hair, face = self.person.hair, self.person.face
        sine = math.sin(self.person.pose.yaw)
        base, across = 0.12, self.frame.u - 0.33 * face.width * sine
        v = self.frame.v
        square = 0.5
        if hair.fringe == "straight":
            v, square = v + 0.5 * self.fringe_teeth, 1.0
        elif hair.fringe == "swept":
            v = v - hair.sweep * across
        elif hair.fringe == "parted":
            v, square = v + 0.1 - 0.5 * np.abs(across - hair.part), 0.3
        elif hair.fringe == "wavy":
            v = v + 1.4 * self.fringe_teeth
        return ellipse(across, np.minimum(v - base, 0), face.width * hair.side, base - hair.hairline, square)
