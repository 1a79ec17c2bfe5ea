"""The configuration of `trident-update-poll`, and what a server may offer."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.config.update_poll import load_poll_config, parse_offer
from twinroot.errors import ConfigError

HASH = "ab" * 48
IMAGE = f"image: {{url: 'https://a.example/b.cosi', sha384: {HASH}}}\n"
SOURCE = "source: https://a.example/offer.yaml\n"


def test_everything(tmp_path: Path) -> None:
    path = tmp_path / "update-poll.yaml"
    path.write_text("source: oci://a.example/b/c:stable\nwindow: {days: [sat], start: '22:00', end: 04:30}\n")
    found = load_poll_config(path)
    assert found.source == "oci://a.example/b/c:stable"
    assert found.window is not None
    assert (found.window.days, found.window.start, found.window.end) == (("sat",), 22 * 60, 4 * 60 + 30)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "source"),
        ("source: http://a.example/offer.yaml", "is not a place to ask for images"),
        ("source: 'https://['", "is not a place to ask for images"),
        ("source: 'https://a]@[::1/offer.yaml'", "is not a place to ask for images"),
        ("source: file:///etc/passwd", "is not a place"),
        ("source: oci://nothing", "is not a place"),
        ("source: 'https://'", "is not a place"),
        (f"{SOURCE}window: {{start: 24:00, end: '01:00'}}", "is not a time of day"),
        (f"{SOURCE}window: {{start: '1:00', end: '02:00'}}", "is not a time of day"),
        (f"{SOURCE}window: {{start: '01:00', end: '01:00'}}", "ends when it begins"),
        (f"{SOURCE}window: {{days: [], start: '01:00', end: '02:00'}}", "never opens"),
        (f"{SOURCE}window: {{days: [sunday], start: '01:00', end: '02:00'}}", "sunday"),
        (f"{SOURCE}windows: {{start: '01:00', end: '02:00'}}", "did you mean 'window'"),
    ],
)
def test_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "update-poll.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_poll_config(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "rollout"),
    [(IMAGE, 1.0), (f"{IMAGE}rollout: 12.5%", 0.125), (f"{IMAGE}rollout: 0%", 0.0), (f"{IMAGE}rollout: 100%", 1.0)],
)
def test_offer(text: str, rollout: float) -> None:
    found = parse_offer(text, "https://a.example/offer.yaml")
    assert (found.image.sha384, found.rollout) == (HASH, rollout)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("{}", "image"),
        (IMAGE.replace(HASH, "ignored"), "is not a SHA-384 hash"),
        (f"{IMAGE}rollout: 0.1", "is not a percentage"),
        (f"{IMAGE}rollout: 100.5%", "is not a percentage"),
        (f"{IMAGE}rollout: -1%", "is not a percentage"),
        (f"{IMAGE}rolout: 1%", "did you mean 'rollout'"),
        ("<html>404</html>", "https://a.example/offer.yaml"),
    ],
)
def test_refused_offers(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_offer(text, "https://a.example/offer.yaml")
    assert says in str(caught.value)
