"""The commands of trading: accounts, their state, the kill switch, halts, cancels."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli.opening import home_option, workspace_of
from workbench.cli.printing import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.orchestration.control import Control

reason_option = click.option("--reason", required=True, help="Why; it is kept in the audit.")


@contextlib.contextmanager
def control_of(home: Path | None) -> Iterator[Control]:
    """Control over the accounts of this machine's workspace."""
    from workbench.orchestration.control import Control

    with workspace_of(home) as (workspace, settings):
        yield Control(workspace, settings)


@click.command()
@home_option
def accounts(*, home: Path | None) -> None:
    """Show the accounts: trading state, desk, orders under way."""
    with control_of(home) as control:
        show(control.accounts(), empty="no account was ever traded.")


@click.command()
@click.argument("account")
@reason_option
@click.option("--flatten", is_flag=True, help="Also close what is held, with orders of our own.")
@click.option("--suspend", is_flag=True, help="Also tell the broker to refuse new orders.")
@click.option("--foreign", is_flag=True, help="Also cancel orders that are not ours.")
@home_option
def kill(*, account: str, reason: str, flatten: bool, suspend: bool, foreign: bool, home: Path | None) -> None:
    """Stop trading on ACCOUNT now and cancel every order. It works when the desk is dead or hangs.

    Nothing is sent on the account any more until `workbench state ACCOUNT active --reason …`.
    """
    with control_of(home) as control:
        done = control.kill(account, reason=reason, flatten=flatten, suspend=suspend, foreign=foreign)
    click.echo(str(done))
    if not done.clean:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("account")
@click.argument("to", required=False, type=click.Choice(["active", "reducing", "halted"]))
@click.option("--reason", default="", help="Why; needed for whatever allows more than now.")
@home_option
def state(*, account: str, to: str | None, reason: str, home: Path | None) -> None:
    """Show what ACCOUNT may do, or set it: active, reducing (only toward zero) or halted."""
    with control_of(home) as control:
        if to is not None:
            control.change(account, to, reason=reason)
        click.echo(control.state(account).line)


@click.group(invoke_without_command=True)
@click.option("--account", help="Only of this account.")
@home_option
@click.pass_context
def halts(context: click.Context, *, account: str | None, home: Path | None) -> None:
    """Show the symbols that must not trade, and why; `clear` lets one trade again."""
    if context.invoked_subcommand is None:
        with control_of(home) as control:
            show(control.halts(account), empty="nothing is halted.")


@halts.command()
@click.argument("account")
@click.argument("symbol")
@reason_option
@home_option
def clear(*, account: str, symbol: str, reason: str, home: Path | None) -> None:
    """Let SYMBOL ('*': the whole account) trade again."""
    with control_of(home) as control:
        ended = control.clear(account, symbol, reason=reason)
    click.echo(f"{ended} halt{'' if ended == 1 else 's'} of {symbol} on {account} ended.")


@click.command()
@click.argument("account")
@click.argument("client_order_id")
@home_option
def cancel(*, account: str, client_order_id: str, home: Path | None) -> None:
    """Cancel one order of ACCOUNT, by its CLIENT_ORDER_ID; its desk does it."""
    with control_of(home) as control:
        intent = control.cancel(account, client_order_id)
    click.echo(f"{client_order_id}: {intent.state.value}{'' if intent.state.is_end else ', a cancel is asked for'}")


@click.command()
@click.argument("account")
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("qty")
@click.argument("symbol")
@click.option("--limit", "limit_price", help="The worst acceptable price per share.")
@click.option("--urgency", type=click.Choice(["patient", "normal", "urgent"]), default="normal", show_default=True)
@click.option("--key", help="A name for the wish; repeating it orders nothing twice.")
@home_option
def order(*, account: str, side: str, qty: str, symbol: str, home: Path | None, **how: str | None) -> None:
    """Order QTY shares of SYMBOL: the router chooses the order or the algorithm, and says why. The desk sends it."""
    with control_of(home) as control:
        done = control.order(account, symbol, side, qty, **how)  # type: ignore[arg-type]  # click has looked at them
    click.echo(str(done))
    if done.outcome == "refused":
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("account")
@click.argument("client_order_id")
@click.option("--qty", help="The total wished, what has filled included.")
@click.option("--limit", "limit_price", help="The new limit price per share.")
@click.option("--stop", "stop_price", help="The new stop price per share.")
@home_option
def replace(*, account: str, client_order_id: str, home: Path | None, **numbers: str | None) -> None:
    """Put another order in the place of one of ACCOUNT, within the limits; its desk does it."""
    with control_of(home) as control:
        done = control.replace(account, client_order_id, **numbers)  # type: ignore[arg-type]  # numbers are its own
    click.echo(str(done))
    if done.refusals:
        raise click.exceptions.Exit(1)


COMMANDS = (accounts, kill, state, halts, cancel, order, replace)
