"""A served local Azure and what published clients need to use it."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from azure.identity import ClientSecretCredential

from sandbox.server import Server
from tests.world.ids import SUBSCRIPTION


class Azure(contextlib.ExitStack):
    """Opens clients on a server and closes them at the end."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.url = server.url
        self.world = server.world
        self.operator = self.sign_in(server.world.operator.secret or "")

    def sign_in(self, secret: str) -> ClientSecretCredential:
        """Return a credential of the operator with a secret."""
        world = self.world
        credential = ClientSecretCredential(
            world.tenant,
            world.operator.app_id,
            secret,
            authority=self.url,
            disable_instance_discovery=True,
        )
        return self.enter_context(credential)

    def client[C: AbstractContextManager[Any]](self, kind: Callable[..., C], *arguments: str) -> C:
        """Open a management client as the operator, as any sovereign cloud is used."""
        made = kind(
            self.operator,
            *arguments,
            base_url=self.url,
            credential_scopes=[f"{self.url}/.default"],
        )
        self.enter_context(made)
        return made

    def subscription_client[C: AbstractContextManager[Any]](self, kind: Callable[..., C]) -> C:
        """Open a client of the seed's subscription."""
        return self.client(kind, SUBSCRIPTION)
