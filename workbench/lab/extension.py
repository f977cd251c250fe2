"""The Jupyter server's extension: what a person may do to an account over REST, behind Jupyter's own token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """What Jupyter asks an extension for: the module that loads it."""
    return [{"module": "workbench.lab.extension"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Add our paths to a server; the workspace is opened at the first request."""
    from workbench.lab.handlers.trading import routes

    server.web_app.add_handlers(".*$", routes(server.web_app.settings["base_url"]))  # type: ignore[no-untyped-call]
