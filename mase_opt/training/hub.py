"""Weights and tokenizers from Hugging Face's hub, or from its cache on this machine."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from mase_opt.lib.errors import UserError

PATIENCE = 3.0
"""Seconds that the hub has to answer."""


@contextlib.contextmanager
def from_hub(what: str) -> Generator[None]:
    """
    Let libraries load `what` within the block.

    If the hub does not answer at once, they take what is in the cache, instead of
    trying for minutes. Raises `UserError` where they do not find it.
    """
    import huggingface_hub.constants as constants

    held: Any = constants
    before = held.HF_HUB_OFFLINE
    held.HF_HUB_OFFLINE = before or not _answers(held.ENDPOINT)
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if held.HF_HUB_OFFLINE:
            reason = (
                f"{held.ENDPOINT} is "
                f"{'switched off by HF_HUB_OFFLINE' if before else 'out of reach'}, "
                f"and the cache {held.HF_HUB_CACHE} does not have it"
            )
        raise UserError(
            f"cannot load {what}: {reason}; a folder of save_pretrained can be named "
            "instead, by --load or tokenizer in [dataset]"
        ) from error
    finally:
        held.HF_HUB_OFFLINE = before


def _answers(endpoint: str) -> bool:
    """Whether something listens at an address, or at the proxy before it."""
    target = urlsplit(endpoint)
    proxy = getproxies().get(target.scheme)
    if proxy and target.hostname not in os.environ.get("no_proxy", "").split(","):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        with socket.create_connection((target.hostname or "", port), PATIENCE):
            return True
    except OSError:
        return False
