"""Finding out whether credentials are right, before they are kept."""

from __future__ import annotations

from dataclasses import replace

from twinroot.config.registry_reference import Reference
from twinroot.registry.access import Access
from twinroot.registry.client import Client
from twinroot.registry.credentials import Credentials, save_credentials


def log_in(registry: str, credentials: Credentials, access: Access) -> str:
    """Try credentials at a registry and keep them; says where they are kept. AnswerError when they are refused."""
    with Client(Reference(registry, ""), replace(access, auth_file=None), credentials) as client:
        client.read("GET", client.registry_url)
    return save_credentials(registry, credentials, access.auth_file)
