"""URLs of servers in messages: no credentials, whatever characters they have."""

from __future__ import annotations

import pytest

from serving.links.urls import server_of, shown


@pytest.mark.parametrize("password", ["secret", "sec/ret", "sec?ret", "sec@ret", "s?e/c@r#et"])
def test_a_password_is_not_shown(password: str) -> None:
    url = f"redis://ann:{password}@host:1/0?name=mine"
    said = shown(url)
    with pytest.raises(ValueError, match="none that can be opened") as raised:
        server_of(url.replace("redis:", "rdis:"), ["redis"])
    for text in (said, str(raised.value)):
        assert "sec" not in text
        assert "ret" not in text
        assert "host:1" in text
    assert shown("nats://host:4222?name=mine") == "nats://host:4222"
