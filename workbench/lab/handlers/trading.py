"""Accounts over REST: look, kill, change the trading state, cancel; it works when no desk runs, or when one hangs.

GET  workbench/api/accounts                      the accounts with their desks and trading states
GET  workbench/api/accounts/{account}            one of them, with its open orders
POST workbench/api/accounts/{account}/kill       {"reason", "flatten"?, "suspend"?} → what was cancelled
POST workbench/api/accounts/{account}/state      {"state", "reason"} → active, reducing or halted
POST workbench/api/accounts/{account}/cancel     {"client_order_id"} → written down; the desk does it
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from workbench.errors import NoData, ParameterError, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.execution.kill_switch.killed import Killed
    from workbench.orchestration.control import Control


class AccountHandler(APIHandler):
    """What all have in common: who may ask, the body, and errors as JSON with what to do."""

    auth_resource = "workbench"

    async def answer(self, work: Callable[[Control], Any]) -> None:
        """Do the work on a thread, so that a slow broker never stops the server, and send its answer."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(None, _with_control, work)
        except WorkbenchError as error:
            self.set_status(_status(error))
            found = {"code": error.code, "message": error.message, "remedy": error.remedy}
        self.finish(json.dumps(found, default=str))

    def body(self, *required: str) -> dict[str, Any]:
        """The JSON object of the request. Raises HTTP 400 where it is none, or a name is missing."""
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise web.HTTPError(400, "the body must be a JSON object; nothing was done")
        missing = [name for name in required if not found.get(name)]
        if missing:
            raise web.HTTPError(400, f"{', '.join(missing)} is missing; nothing was done")
        return found


class Accounts(AccountHandler):
    """workbench/api/accounts."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """All accounts that were ever traded."""
        await self.answer(lambda control: control.accounts().to_dict("records"))


class OneAccount(AccountHandler):
    """workbench/api/accounts/{account}."""

    @web.authenticated
    @authorized
    async def get(self, account: str) -> None:
        """One account with its open orders."""
        await self.answer(lambda control: control.look(account))


class Kill(AccountHandler):
    """workbench/api/accounts/{account}/kill."""

    @web.authenticated
    @authorized
    async def post(self, account: str) -> None:
        """Stop trading now."""
        asked = self.body("reason")
        await self.answer(
            lambda control: _told(
                control.kill(
                    account,
                    reason=str(asked["reason"]),
                    flatten=asked.get("flatten") is True,
                    suspend=asked.get("suspend") is True,
                )
            )
        )


class State(AccountHandler):
    """workbench/api/accounts/{account}/state."""

    @web.authenticated
    @authorized
    async def post(self, account: str) -> None:
        """Set the trading state."""
        asked = self.body("state", "reason")
        await self.answer(
            lambda control: {"state": control.change(account, str(asked["state"]), reason=str(asked["reason"])).value}
        )


class Cancel(AccountHandler):
    """workbench/api/accounts/{account}/cancel."""

    @web.authenticated
    @authorized
    async def post(self, account: str) -> None:
        """Wish an order away."""
        asked = self.body("client_order_id")
        await self.answer(lambda control: {"state": control.cancel(account, str(asked["client_order_id"])).state.value})


def routes(base_url: str) -> list[tuple[str, type[AccountHandler]]]:
    """Every path under a server's base URL, and who answers it."""
    api = url_path_join(base_url, "workbench", "api", "accounts")
    return [
        (api, Accounts),
        (url_path_join(api, "([^/]+)"), OneAccount),
        (url_path_join(api, "([^/]+)", "kill"), Kill),
        (url_path_join(api, "([^/]+)", "state"), State),
        (url_path_join(api, "([^/]+)", "cancel"), Cancel),
    ]


def _with_control(work: Callable[[Control], Any]) -> Any:
    """The work over the workspace of this machine, opened for it alone: connections do not cross threads."""
    from workbench.orchestration.control import Control
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace

    settings = Settings.read()
    workspace = Workspace.open(
        settings.resolved_home,
        database_url=settings.resolved_database_url,
        vintages_url=settings.resolved_vintages_url,
    )
    try:
        return work(Control(workspace, settings))
    finally:
        workspace.close()


def _told(done: Killed) -> dict[str, Any]:
    return {**dataclasses.asdict(done), "clean": done.clean, "sentence": done.sentence}


def _status(error: WorkbenchError) -> int:
    if isinstance(error, NoData):
        return 404
    return 400 if isinstance(error, ParameterError) else 409
