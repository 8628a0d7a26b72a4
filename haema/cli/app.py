"""The commands and their options; the work is done elsewhere, and imported only when it is."""

from __future__ import annotations

import json as json_
import math
import sys
from typing import Annotated, Any

import typer

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)

DATA = "digits (comes with haema), FILE.csv, FILE.npz, a folder of class folders of images, or a folder of IDX files."


def _version(wanted: bool) -> None:
    if wanted:
        import haema

        typer.echo(f"haema {haema.__version__}")
        raise typer.Exit()


Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Leave images in their files and read them as they are needed. "
        "[dim]Default: where they take more than a third of the free memory.[/dim]",
        show_default=False,
    ),
]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out images that cannot be read.")]


@app.callback(
    epilog="[bold]Begin with[/bold]\n\n"
    "  haema train digits\n\n"
    "  haema evaluate digits.haema digits\n\n"
    "  haema train --help"
)
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")] = False,
) -> None:
    """Train a neural network on a table or on images, and use it."""


def _print_json(found: dict[str, Any]) -> None:
    """One object on one line; what is not a number in JSON is null."""
    ascii = not (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json_.dumps(_plain(found), ensure_ascii=ascii, allow_nan=False) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "  haema train digits                                  built-in digits\n\n"
    "  haema train iris.csv --target species               a table; the column tells the task\n\n"
    "  haema train houses.csv --target price --epochs 200  numbers: a regression\n\n"
    "  haema train photos/ --model cnn                     photos/cat/1.jpg, ...\n\n"
    "  haema train mnist/ --recipe best                    takes longer, a little more accurate\n\n"
    "  haema train mnist/ --out run1.haema --seed 7        train-images-idx3-ubyte.gz, ...\n\n"
    "  haema train digits --resume                         go on after Ctrl-C or a crash"
)
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)],
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of a table to predict.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mlp, linear, table; for images fast, cnn, lenet5, stack, vgg, resnet20, resnet18. "
            "[dim]Default: what suits the data.[/dim]",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="best: takes several times as long, a little more accurate; for images."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="How often all rows are seen.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", metavar="X", help="Highest learning rate.")] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Rows per step.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same model, bit by bit.")] = 0,
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Share of the rows to validate with. [dim]Default: 0.1, at most 2,500 rows; tables use folds.[/dim]",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model file; curves, report and checkpoint get its name. "
            "[dim]Default: DATA's name with .haema, in this folder.[/dim]",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint of an unfinished run.")] = False,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop in time, with the best weights so far.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="classification or regression, where the target would tell otherwise."),
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="Without the compiler: slower, the same model up to rounding.")
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="bf16: products of bfloat16, summed in float32; faster on CPUs with AMX or AVX512_BF16. "
            "The best recipe of the fast network on coloured images then takes a larger one. "
            "[dim]Default: float32; on CPUs with AMX bf16 for that one.[/dim]",
        ),
    ] = None,
    stream: Stream = None,
    skip_broken: SkipBroken = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object; prose goes to standard error.")] = False,
) -> None:
    """Train a network, measure it on held-out rows, and save it.

    Writes the model (NAME.haema), its learning curves (NAME-curves.png) and a report (NAME-report.txt).

    A fifth of the rows, at most 5,000, is held out for the test, unless the data has a test part of its own.
    """
    from haema.cli.report import run_report, show
    from haema.cli.training import TrainOptions
    from haema.cli.training import train as work

    options = TrainOptions(
        data, target, task, model, recipe, epochs, lr, batch_size, seed, validation, out, resume, time_limit, json,
        eager, stream, skip_broken, precision,
    )  # fmt: skip
    outcome = work(options)
    show(run_report(outcome), sys.stderr if json else None)
    if json:
        _print_json(outcome.to_json())


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "  haema evaluate digits.haema digits --part test\n\n"
    "  haema evaluate iris.haema new_flowers.csv --json"
)
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A file that haema train wrote.", show_default=False)],
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)],
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column with the truth, if it has a new name.")
    ] = None,
    part: Annotated[
        str, typer.Option(metavar="PART", help="all, or test: the rows that training on this data held out.")
    ] = "all",
    stream: Stream = None,
    skip_broken: SkipBroken = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object; prose goes to standard error.")] = False,
) -> None:
    """Measure a model on data whose truth is known, beside the trivial predictor."""
    from haema.cli.report import evaluation, show
    from haema.cli.using import evaluate as work
    from haema.errors import InputError

    if part not in ("all", "test"):
        raise InputError(f"--part is {part!r}, where 'all' or 'test' is right")
    scores, card, found = work(model, data, target, part, stream, skip_broken)
    show(evaluation(scores, card), sys.stderr if json else None)
    if json:
        _print_json(found)


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "  haema predict iris.haema new_flowers.csv --out flowers.csv\n\n"
    "  haema predict pets.haema photos/ | head\n\n"
    "  haema predict pets.haema rex.jpg tom.png more/      a table with file, prediction and p(CLASS)"
)
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A file that haema train wrote.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help=DATA + " Labels are not needed. Or image files, and folders of them, as many as you like.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None, typer.Option(metavar="FILE.csv", help="Where to. [dim]Default: standard output.[/dim]")
    ] = None,
    stream: Stream = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Predict: a table with the input's columns, the prediction, and each class's probability as p(CLASS)."""
    from haema.cli.guard import say
    from haema.cli.using import predict as work

    rows = work(model, data, out, stream, skip_broken)
    if out is not None:
        say(f"{rows:,} rows are in {out}")


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "  haema augment photos/ --out sheet.png\n\n"
    "  haema augment cat.jpg --only rotation,elastic --seed 3"
)
def augment(
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGE_OR_FOLDER", help="A PNG or JPEG file, or a folder of them.", show_default=False),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PICTURE", help="A .png or .jpg file. [dim]Default: the input's name with -augmented.png.[/dim]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed draws the same picture.")] = 0,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Rows to show: names with commas between. [dim]Default: all.[/dim]"),
    ] = None,
) -> None:
    """Show what augmentation does: a contact sheet with a row for each kind, the original at its left."""
    from haema.cli.augmenting import augment as work
    from haema.cli.guard import say

    picture, rows = work(images, out, seed, [name for names in only or [] for name in names.split(",")])
    say(f"{picture} shows {rows} kind{'s' if rows > 1 else ''} of augmentation")


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "  haema inspect digits.haema\n\n"
    "  haema inspect digits.haema --images digits --out inside\n\n"
    "  haema inspect pets.haema --images cat.jpg --out cat"
)
def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A file that haema train wrote.", show_default=False)],
    images: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Draw what happens inside for these images: digits, FILE.npz, an image, a folder of images, of class "
            "folders or of IDX files.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Where the pictures go; those of a look before are exchanged, other files stay."
        ),
    ] = None,
    stream: Stream = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Show what is in a model file: layers and their sizes, classes, how it was trained and how good it was.

    With --images, pictures of what happens inside: filters, feature maps, activations, gradients, mistakes, saliency.
    """
    from haema.cli.inspecting import inspect as work
    from haema.cli.inspecting import listed
    from haema.cli.report import show
    from haema.errors import InputError

    if images is None and out is None:
        if stream is not None or skip_broken:
            raise InputError(f"{'--skip-broken' if skip_broken else '--stream'} is for --images DATA, which is missing")
        show(work(model))
        return
    if images is None or out is None:
        right = "--out FOLDER, the place for the pictures" if out is None else "--images DATA, what to draw them of"
        raise InputError(f"--images and --out belong together; {right}, is missing")
    from haema.cli.pictures import draw_pictures

    show(listed(draw_pictures(model, images, out, stream, skip_broken)))
