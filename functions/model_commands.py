"""`koubo models`: bringing models of one's own, and looking after them."""

import json
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from functions import models
from functions.data_option import DEFAULT_DATA, DataOption, open_store
from functions.errors import BadModelError, Code, KouboError, RejectedInput
from functions.ingest.settings import IngestSettings
from functions.layout import MODEL_FILE, ModelKeys, is_model_name
from functions.plans import Model
from functions.settings import BucketSettings, CacheSettings, ModelSettings
from functions.storage import Store

if TYPE_CHECKING:
    # The commands that need them import them: those of a folder of runs start faster.
    from functions.infer.manifest import Manifest
    from functions.infer.model_shelf import ModelShelf

app = typer.Typer(no_args_is_help=True, help="Models that you bring.")

HINTS = {
    "wav2lip": "the published weights are for research and personal use, not commercial",
    "musetalk": "the published weights may be used for any purpose",
    "ultralight": "the published code states no licence for weights; say whose training it was",
}

_NO_NAMES = ("generator", "encoder", "model")
"""Files that are called for what they are in any model."""

ToOption = Annotated[
    Path | None,
    typer.Option("--to", help="A folder of models instead of the bucket; see KOUBO_MODELS_FOLDER."),
]


@app.command("add")
def add(
    paths: Annotated[
        list[Path], typer.Argument(help="A model's folder, or the ONNX files of one.")
    ],
    family: Annotated[str | None, typer.Option(help="Of bare ONNX files.")] = None,
    name: Annotated[str | None, typer.Option(help="By default the first file's.")] = None,
    version: Annotated[str, typer.Option(help="New weights want a new one.")] = "1",
    licence: Annotated[
        str | None, typer.Option(help="A line that every report will repeat.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Pixels of a face, where the graph takes any.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE for the family's table, such as offset=2."),
    ] = None,
    to: ToOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Take a model in: it is read, hashed, and tried on a made-up face before it is kept."""
    from functions.infer import model_add  # noqa: PLC0415 -- other commands start faster
    from functions.infer.model_draft import Naming  # noqa: PLC0415

    settings = ModelSettings()
    with refusing(), TemporaryDirectory(prefix="koubo-model-", dir=to and _made(to)) as making:
        into = Path(making) / "model"
        into.mkdir()
        if family is None and len(paths) == 1 and (paths[0] / MODEL_FILE).is_file():
            manifest = model_add.copy_model(paths[0], into, settings)
        else:
            naming = Naming(
                family or _no_family(paths),
                name or _name_of(paths[0]),
                version,
                licence or _asked(family or ""),
            )
            manifest = model_add.make_model(
                paths, naming, into, settings, size=size, table=_table(set_ or [])
            )
        if to is None:
            # Before the trial, which takes a while.
            model_add.check_is_new(open_store(data), BucketSettings().models, manifest)
        model_add.try_model(manifest, settings)
        where = _keep(manifest, to, data)
    print(f"{manifest.label} ({manifest.family}), licence: {manifest.licence}")  # noqa: T201 -- standard output is this command's product
    print(where)  # noqa: T201


@app.command("list")
def list_models(
    data: DataOption = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002 -- a command line flag
) -> None:
    """Show the models that jobs can ask for."""
    for row in _rows(open_store(data)):
        if as_json:
            print(json.dumps(row.__dict__, ensure_ascii=False))  # noqa: T201 -- standard output is this command's product
        else:
            what = row.wrong or f"{row.family}  {row.bytes / 1e6:.1f} MB  {row.licence}"
            print(f"{row.name} {row.version}  {row.where}  {what}")  # noqa: T201


@app.command("check")
def check(
    model: Annotated[str, typer.Argument(help="`name`, `name/version`, or a model's folder.")],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Read a model's files again, compare their digests, and have it render some frames."""
    from functions.infer import model_add  # noqa: PLC0415 -- other commands start faster
    from functions.infer.manifest import read_manifest  # noqa: PLC0415
    from functions.infer.onnx_file import check_file  # noqa: PLC0415

    settings = ModelSettings()
    with refusing():
        if Path(model, MODEL_FILE).is_file():
            manifest = read_manifest(Path(model).absolute())
        else:
            manifest = find_manifest(model, open_store(data))
        for file in manifest.files:
            check_file(manifest.file(file), settings.max_file_bytes)
        model_add.try_model(manifest, settings)
    print(f"{manifest.label} ({manifest.family}) is whole and works")  # noqa: T201 -- standard output is this command's product


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument()],
    version: Annotated[str, typer.Argument()],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Take a model out of the bucket; runs that were planned with it will fail and say so."""
    buckets = BucketSettings()
    if not (is_model_name(name) and is_model_name(version)):
        raise KouboError(f"{name!r} {version!r} is no model's name")
    if not models.remove(open_store(data), buckets.models, ModelKeys(name, version)):
        raise KouboError(f"the bucket {buckets.models} has no model {name} {version}")
    print(f"{name} {version} is gone from {buckets.models}")  # noqa: T201 -- standard output is this command's product


@dataclass(frozen=True)
class Row:
    """A model as `koubo models list` shows it; `wrong` says why it can't be used."""

    name: str
    version: str
    family: str
    licence: str
    bytes: int
    where: str
    wrong: str = ""


def _rows(store: Store) -> Iterator[Row]:
    from functions.infer.manifest import SHIPPED, read_manifest  # noqa: PLC0415 -- as above

    bucket, folder = BucketSettings().models, ModelSettings().folder
    for root in filter(None, (SHIPPED, folder)):
        for path in sorted(root.glob(f"*/*/{MODEL_FILE}")):
            where = "package" if root == SHIPPED else str(root)
            names = path.parent.parent.name, path.parent.name
            sizes = [file.stat().st_size for file in path.parent.iterdir() if file.is_file()]
            try:
                yield _row(read_manifest(path.parent), sum(sizes), where)
            except BadModelError as error:
                yield Row(*names, "", "", sum(sizes), where, str(error))
    for name in models.names(store, bucket):
        for version in models.versions(store, bucket, name):
            yield _row_in_bucket(store, bucket, ModelKeys(name, version))


def _row_in_bucket(store: Store, bucket: str, keys: ModelKeys) -> Row:
    from functions.infer.manifest import parse_manifest  # noqa: PLC0415 -- as above

    size = sum(entry.size for entry in store.entries(bucket, keys.prefix.rstrip("/")))
    try:
        manifest = parse_manifest(store.get(bucket, keys.manifest), Path(keys.prefix))
    except BadModelError as error:
        return Row(keys.name, keys.version, "", "", size, bucket, str(error))
    return _row(manifest, size, bucket)


def _row(manifest: "Manifest", size: int, where: str) -> Row:
    return Row(manifest.name, manifest.version, manifest.family, manifest.licence, size, where)


def find_manifest(wanted: str, store: Store) -> "Manifest":
    """A model by `name` or `name/version`, as a run would find it."""
    model = find_model(wanted, store)
    if model is None:
        raise BadModelError(
            f"there is no model {wanted!r}; `koubo models list` shows what there is"
        )
    return _shelf(store).find(model)


def find_model(wanted: str, store: Store) -> Model | None:
    """Which model `name` or `name/version` means to a run; None where there is no such model."""
    known, folder = IngestSettings().models, ModelSettings().folder
    return models.find(store, BucketSettings().models, wanted, known, folder)


def _shelf(store: Store) -> "ModelShelf":
    from functions.infer.model_shelf import ModelShelf  # noqa: PLC0415 -- as above
    from functions.infer.weight_cache import WeightCache  # noqa: PLC0415

    cache, settings = CacheSettings(), ModelSettings()
    weights = WeightCache(cache.weight_files, cache.weights_limit, settings.max_file_bytes)
    return ModelShelf(store, BucketSettings().models, weights, settings.folder)


def _keep(manifest: "Manifest", to: Path | None, data: Path) -> str:
    """Puts a model where it shall stay, and says where that is."""
    from functions.infer import model_add  # noqa: PLC0415 -- as above

    if to is not None:
        return str(model_add.put_in_folder(manifest, to))
    bucket = BucketSettings().models
    model_add.put_model(open_store(data), bucket, manifest)
    return f"{bucket}/{ModelKeys(manifest.name, manifest.version).prefix}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _no_family(paths: list[Path]) -> str:
    first = paths[0]
    if not first.exists():
        raise BadModelError(f"there is no {first}")
    if first.is_dir():
        raise BadModelError(f"there is no {MODEL_FILE} in {first}")
    raise typer.BadParameter("say which family these files are of", param_hint="--family")


def _name_of(path: Path) -> str:
    """A model's name made of a file's, or of its folder's where the file's says nothing."""
    stem = path.absolute().parent.name if path.stem in _NO_NAMES else path.stem
    small = "".join(letter if letter.isalnum() else "-" for letter in stem.lower())
    return small.encode("ascii", "ignore").decode().strip("-") or "model"


def _asked(family: str) -> str:
    """The licence line, from whoever sits there."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "say under which licence the model may be used; every report will repeat it",
            param_hint="--licence",
        )
    if family in HINTS:
        typer.echo(f"For {family}, {HINTS[family]}.")
    answer: str = typer.prompt("Under which licence may this model be used?")
    return answer.strip()


def _table(pairs: list[str]) -> dict[str, Any]:
    """`KEY=VALUE` with TOML's values; a bare word is a string."""
    table: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
        try:
            table |= tomllib.loads(f"{key} = {value}")
        except tomllib.TOMLDecodeError:
            table[key] = value
    return table


@contextmanager
def refusing() -> Iterator[None]:
    """Turns what is wrong with a model into a refusal, which scripts tell by its exit code."""
    try:
        yield
    except BadModelError as error:
        raise RejectedInput(Code.BAD_MODEL, f"{error}.") from error
