"""`gplvm graphs`: the losses' computational graphs, as pictures."""

from gplvm.cli._arguments import add_command, add_force
from gplvm.cli._output import OutputFolder
from gplvm.cli._progress import Progress

_EXAMPLES = """\
  gplvm graphs --output graphs
  gplvm graphs --output graphs --force
"""


def add_to(commands):
    """Add this command's arguments."""
    parser = add_command(
        commands,
        "graphs",
        run,
        summary="draw the computational graph of each loss",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--output", metavar="DIR", required=True, help="the folder to write"
    )
    add_force(parser)


def run(arguments):
    """Draw the graphs, each as PNG and as SVG."""
    from gplvm.graphs._losses import LOSS_GRAPHS
    from gplvm.plotting._graph import save_graph

    drawing = Progress(1).step(f"Drawing {len(LOSS_GRAPHS)} graphs")
    with OutputFolder(arguments.output, arguments.force) as folder, drawing:
        for name, build in LOSS_GRAPHS.items():
            save_graph(build(), folder / name)
    print(f"{arguments.output}: {len(LOSS_GRAPHS)} graphs, as PNG and SVG")
