"""Which models a job may ask for: those that settings name, a folder's, and the models bucket's."""

import re
from pathlib import Path

from functions.errors import Code, RejectedInput
from functions.layout import MODEL_FILE, ModelKeys, is_model_name, versions_prefix
from functions.plans import Model
from functions.storage import Store


def choose(
    store: Store, bucket: str, wanted: str, known: dict[str, str], folder: Path | None = None
) -> Model:
    """The model that a job means.

    Args:
        store: has the models bucket.
        bucket: its name.
        wanted: `name`, or `name/version`.
        known: versions of the models that need not be in the bucket, by name.
        folder: more models, as `<name>/<version>/`.

    Returns:
        For a name alone the known version, else the highest that is there.

    Raises:
        RejectedInput: `bad_options`: there is no such model.
    """
    model = find(store, bucket, wanted, known, folder)
    if model is None:
        there = ", ".join(sorted({*known, *names(store, bucket, folder)}))
        what = f"The job asks for the model {wanted!r}; known are {there}."
        raise RejectedInput(Code.BAD_OPTIONS, what)
    return model


def find(
    store: Store, bucket: str, wanted: str, known: dict[str, str], folder: Path | None = None
) -> Model | None:
    """As `choose`; None where there is no such model."""
    name, slash, version = wanted.partition("/")
    if not is_model_name(name) or (slash and not is_model_name(version)):
        return None
    if name in known and version in ("", known[name]):
        return Model(name, known[name])
    there = versions(store, bucket, name, folder)
    if not there or (slash and version not in there):
        return None
    return Model(name, version or there[-1])


def names(store: Store, bucket: str, folder: Path | None = None) -> list[str]:
    """The names of the models in the bucket, and in a folder."""
    found = set(store.folders(bucket, ""))
    if folder is not None and folder.is_dir():
        found |= {path.name for path in folder.iterdir()}
    return [name for name in sorted(found) if versions(store, bucket, name, folder)]


def versions(store: Store, bucket: str, name: str, folder: Path | None = None) -> list[str]:
    """The versions of a model that are whole, in the bucket and in a folder, the highest last."""
    if not is_model_name(name):
        return []
    prefix = versions_prefix(name)
    files = [entry.key.removeprefix(prefix) for entry in store.entries(bucket, prefix.rstrip("/"))]
    if folder is not None:
        files += [
            f"{path.parent.name}/{path.name}" for path in folder.glob(f"{name}/*/{MODEL_FILE}")
        ]
    there = {
        version for version, _, file in (f.partition("/") for f in files) if file == MODEL_FILE
    }
    return sorted(filter(is_model_name, there), key=_in_order)


def remove(store: Store, bucket: str, keys: ModelKeys) -> bool:
    """Takes a model out of the bucket; False where there is none.

    Its manifest goes first, so that nobody starts with a half of it.
    """
    there = [entry.key for entry in store.entries(bucket, keys.prefix.rstrip("/"))]
    for key in sorted(there, key=lambda key: key != keys.manifest):
        store.delete(bucket, key)
    return bool(there)


def _in_order(version: str) -> list[tuple[bool, int, str]]:
    """So that 10 comes after 9, and a number after a word."""
    parts = re.findall(r"\d+|[^\d]+", version)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
