"""A page as PDF, printed by a Chromium of this machine: optional, the HTML page is the report."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from workbench.errors import ReportError


def pdf(html: Path, *, chromium: Path | str, out_path: Path, timeout: float = 60.0) -> Path:
    """Print a page that `page` wrote, on A4 with the page's print style sheet.

    The browser runs without a window, with a profile of its own and with every host name unresolvable.

    Args:
        chromium: the browser's executable (Chromium, Chrome or Edge).
        timeout: seconds after which the browser is ended.

    Raises:
        ReportError: there is no such browser or page, or the browser wrote no PDF in time.
    """
    if not html.is_file():
        raise ReportError(f"there is no page at {html}; nothing was printed.", remedy="write it with `page` first.")
    out_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wbpdf", ignore_cleanup_errors=True) as profile:
        made = Path(profile) / "page.pdf"
        command = [
            str(chromium),
            "--headless=new",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}/profile",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=10000",
            "--no-pdf-header-footer",
            f"--print-to-pdf={made}",
            html.resolve().as_uri(),
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium refuses to start as root with its own isolation
        try:
            done = subprocess.run(  # noqa: S603 - a list, no shell; the executable is the operator's choice
                command, capture_output=True, timeout=timeout, check=False, text=True, errors="replace"
            )
        except OSError as error:
            raise ReportError(
                f"chromium={str(chromium)!r} could not be started ({error}); nothing was printed.",
                remedy="give the path of a Chromium, or leave the PDF out.",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ReportError(
                f"{chromium} did not finish within {timeout:g} s and was ended; nothing was printed.",
                remedy="try again with a longer timeout, or print the page from a browser.",
            ) from error
        if done.returncode or not made.is_file():
            last = done.stderr.strip().splitlines()[-1:] or [""]
            raise ReportError(
                f"{chromium} ended with code {done.returncode} and wrote no PDF: {last[0][:300]}",
                remedy="print the page from a browser.",
            )
        partial = out_path.with_name(out_path.name + ".partial")
        partial.write_bytes(made.read_bytes())
        partial.replace(out_path)
    return out_path
