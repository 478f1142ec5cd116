"""`gannotate annotate`: the annotator in the browser."""

from __future__ import annotations

import errno
import socket
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from cyclopts import Parameter

from gannotate.annotate.access import LOOPBACK, Access
from gannotate.annotate.jobs import Jobs
from gannotate.annotate.live import Live
from gannotate.annotate.lock import only_annotator
from gannotate.annotate.server import create_app
from gannotate.annotate.store import Store
from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.ending import as_by_ctrl_c
from gannotate.cli.flags import Common, settings
from gannotate.cli.next_steps import after_labels
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.build import load_generator
from gannotate.project import Project
from gannotate.wording import counted, quoted

MOST_TOLD = 5
"""So many files that cannot be read are named when the annotator starts."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AnnotateFlags(Common):
    """Flags of `annotate`."""

    browser: bool = True
    """Open the page in the browser; --no-browser only prints its address."""
    port: int = 8770
    """Port of the page; 0 takes a free one."""
    host: str = "127.0.0.1"
    """Address to listen on; any but this machine's own lets others in the network try to reach the page."""


def annotate(project: Path, /, *, flags: AnnotateFlags = AnnotateFlags()) -> int:
    """Label pictures of the pool in the browser, while a model learns along.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    if not opened.pool("any"):
        raise UsageError(f"{project} has no pool pictures to label; add some with `{opened.more_pictures}`")
    store = Store(opened)
    tell_unreadable(flags, store)
    if flags.dry_run:
        return show.plan(flags, [f"serve the annotator of {project} on {flags.host}:{flags.port}"], settings(flags))
    listening = listen(flags.host, flags.port)
    access = Access(flags.host, listening.getsockname()[1])
    # without the token: whoever is turned away is told where the other one is, not let in
    with listening, only_annotator(project, access.address.split("/?")[0]):
        drawing = None if opened.config.generator is None else load_generator(opened.generator_folder, prepare(flags))
        live = Live(store, drawing)
        if flags.host not in LOOPBACK:
            careful = f"careful: {flags.host} is reachable from the network, without encryption"
            show.say(flags, f"{careful}; only use it on one that you trust")
        sys.stderr.write(f"open {access.address} (works once; Ctrl-C ends)\n")
        sys.stderr.flush()
        with as_by_ctrl_c():  # uvicorn ends at SIGTERM too, and hands it on
            serve(live, access, listening, flags.browser)
    labelled = sorted(live.store.labelled())
    result = {"project": str(project), "labelled": labelled, "pool": len(opened.pool("any"))}
    text = f"{len(labelled)} of the {result['pool']} pool pictures are labelled"
    return show.finish(flags, result, text, next_step(live.store, project, labelled))


def tell_unreadable(flags: Common, store: Store) -> None:
    """Says on stderr which files in annotations/ cannot be read: the page goes on without them."""
    told = list(store.unreadable().values())
    try:
        store.project.annotations("any")
    except GannotateError as error:  # of a file that is named by no picture
        told.append(str(error))
    if not told:
        return
    more = [f"{len(told) - MOST_TOLD} more; `gannotate doctor {quoted(store.project.folder)}` names them all"]
    lines = told if len(told) <= MOST_TOLD else told[:MOST_TOLD] + more
    files = counted(len(told), "file", "files")
    show.say(flags, "\n  ".join([f"careful: {files} in annotations/ cannot be read:", *lines]))


def next_step(store: Store, project: Path, labelled: Sequence[int]) -> str:
    """What to type next."""
    if not labelled:
        return f"gannotate annotate {quoted(project)}"
    return after_labels(project, bool(store.labelled("generated")))


def serve(live: Live, access: Access, listening: socket.socket, browser: bool) -> None:
    """Serves until Ctrl-C, on a socket that listens already."""
    jobs = Jobs()
    app = create_app(live.store, live, access, jobs)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    live.start()
    try:
        if browser:
            webbrowser.open(access.address)
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # how one ends it
        pass
    finally:
        jobs.stop()
        live.stop()
        listening.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`.

    Raises:
        UsageError: no such port. GannotateError: it is taken, or `host` is no address of this machine.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} does not exist; give 0 (any free one) to 65535")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        taken = "an annotator may be open already: give another one with --port, or --port 0 for any free one"
        advice = taken if error.errno == errno.EADDRINUSE else "give an address of this machine and a port it may open"
        raise GannotateError(f"cannot listen on {host} port {port} ({error.strerror or error}); {advice}") from error
    return listening
