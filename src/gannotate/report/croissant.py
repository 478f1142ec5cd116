"""Croissant 1.0 (mlcommons.org/croissant/1.0): a dataset's files and records as JSON-LD, for loaders and search."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from gannotate.data.front_matter import licence_fields
from gannotate.data.manifest import MANIFEST, Manifest
from gannotate.data.shards import FOLDERS, shard_name

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
NOT_STATED = "not stated"

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The specification's own context."""

SPDX = {
    "apache-2.0": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "cc0-1.0": "CC0-1.0",
    "cc-by-3.0": "CC-BY-3.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "mit": "MIT",
}
"""Licences by Hugging Face's names to those of spdx.org/licenses, where both mean the same one."""

KEY = r"^(?:.*/)?([0-9]+)"
"""A sample's key in the name of each of its files; a key alone is its own."""

PICTURES, MASKS = "pictures", "label-maps"


class Described(Protocol):
    """What is told of a dataset, see `dataset_card.Facts`."""

    @property
    def name(self) -> str: ...
    @property
    def manifest(self) -> Manifest: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def made(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def creator(self) -> str: ...
    @property
    def url(self) -> str: ...


def croissant(folder: Path, facts: Described, description: str) -> dict[str, Any]:
    """The content of croissant.json.

    The specification asks for a licence, a creator and an address; where nobody stated them they say so, and the
    address is the folder's own.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": _name(facts.name),
        "description": description,
        "license": _licence(facts.licence),
        "url": facts.url or "./",
        "creator": {"@type": "sc:Person", "name": facts.creator or NOT_STATED},
        "datePublished": facts.made[:10] or _written(folder),
        "version": "1.0.0",
        "keywords": ["image segmentation", "synthetic", "gannotate"],
        "distribution": _distribution(folder, facts.manifest),
        "recordSet": [_class_records(facts.classes), _picture_records(), _label_records()],
    }


def _name(name: str) -> str:
    """Letters, digits, dashes and underscores, as names in Croissant should be."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)


def _licence(licence: str) -> str:
    """The address of a licence that is known, which the specification recommends; others as they were stated."""
    known = SPDX.get(str(licence_fields(licence)["license"]))
    return f"https://spdx.org/licenses/{known}.html" if known else licence or NOT_STATED


def _written(folder: Path) -> str:
    """Day of the newest change of the manifest, of a dataset that has no record of its making."""
    return datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, UTC).date().isoformat()


def _distribution(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    if manifest.settings["format"] == "folder":
        return [_manifest_file(folder), _files(PICTURES, FOLDERS["png"]), _files(MASKS, FOLDERS["label.png"])]
    shards = [_shard(folder, index, part) for index, part in enumerate(manifest.parts)]
    inside = [{"@id": shard["@id"]} for shard in shards]
    # a key has ten digits: the pattern tells pictures and label maps apart
    key = "[0-9]" * 10
    return [*shards, _files(PICTURES, f"{key}.png", inside), _files(MASKS, f"{key}.label.png", inside)]


def _shard(folder: Path, index: int, part: Mapping[str, Any]) -> dict[str, Any]:
    name = shard_name(index)
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{(folder / name).stat().st_size} B",
        "encodingFormat": "application/x-tar",
        "sha256": part["sha256"],
    }


def _manifest_file(folder: Path) -> dict[str, Any]:
    data = (folder / MANIFEST).read_bytes()
    return {
        "@type": "cr:FileObject",
        "@id": MANIFEST,
        "name": MANIFEST,
        "contentUrl": MANIFEST,
        "contentSize": f"{len(data)} B",
        "encodingFormat": "application/json",
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _files(name: str, pattern: str, inside: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {"@type": "cr:FileSet", "@id": name, "name": name}
    if inside:
        found["containedIn"] = list(inside)
    return found | {"encodingFormat": "image/png", "includes": pattern.replace("{}", "*")}


def _class_records(classes: Sequence[str]) -> dict[str, Any]:
    fields = [_field("classes", "id", "sc:Integer"), _field("classes", "name", "sc:Text")]
    data = [{"classes/id": index, "classes/name": name} for index, name in enumerate(classes)]
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/id"},
        "field": fields,
        "data": data,
    }


def _picture_records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "The generated pictures; the key of a picture is its seed.",
        "key": {"@id": "samples/key"},
        "field": [
            _field("samples", "key", "sc:Text", _from(PICTURES, "filename", KEY)),
            _field("samples", "picture", "sc:ImageObject", _from(PICTURES, "content")),
        ],
    }


def _label_records() -> dict[str, Any]:
    key = _field("labels", "key", "sc:Text", _from(MASKS, "filename", KEY))
    return {
        "@type": "cr:RecordSet",
        "@id": "labels",
        "name": "labels",
        "description": "The label map of each picture: ids of the classes, 255 where nothing is labelled.",
        "key": {"@id": "labels/key"},
        "field": [
            key | {"references": {"field": {"@id": "samples/key"}}},
            _field("labels", "label_map", ["sc:ImageObject", "cr:SegmentationMask"], _from(MASKS, "content")),
        ],
    }


def _from(files: str, what: str, regex: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"fileSet": {"@id": files}, "extract": {"fileProperty": what}}
    return found | ({"transform": {"regex": regex}} if regex else {})


def _field(
    records: str, name: str, kind: str | Sequence[str], source: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"@type": "cr:Field", "@id": f"{records}/{name}", "name": name, "dataType": kind}
    return found | ({"source": dict(source)} if source else {})
