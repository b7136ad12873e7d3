"""Adapters go to every replica, those that come later among them; keys are the router's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tramontane.errors import ConfigError
from tramontane_plugin_router.metrics_page import merged
from tramontane_plugin_router.settings import RouterSettings

from .routed import routing, stand_ins, user
from .stand_in import StandIn

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


def test_adapters_are_loaded_and_unloaded_everywhere() -> None:
    async def act() -> None:
        async with stand_ins(3) as replicas, routing(*(url for _, url in replicas)) as routed:
            load = {"lora_name": "a", "lora_path": "a"}
            assert (await routed.ask(LOAD, load)).json() == {"lora_name": "a"}
            assert [one.adapters for one, _ in replicas] == [["a"]] * 3
            assert (await routed.ask(LOAD, load)).status_code == 400
            assert [one.adapters for one, _ in replicas] == [["a"]] * 3
            assert (await routed.ask(UNLOAD, {"lora_name": "a"})).status_code == 200
            assert [one.adapters for one, _ in replicas] == [[]] * 3

    asyncio.run(act())


def test_an_adapter_that_one_refuses_is_loaded_nowhere() -> None:
    async def act() -> None:
        async with stand_ins(3) as replicas, routing(*(url for _, url in replicas)) as routed:
            replicas[1][0].refuse = (400, "no_such_file")
            answer = await routed.ask(LOAD, {"lora_name": "a", "lora_path": "a"})
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == "no_such_file"
            assert [one.adapters for one, _ in replicas] == [[]] * 3

    asyncio.run(act())


def test_a_replica_that_comes_later_gets_the_adapters_before_any_request() -> None:
    async def act() -> None:
        async with stand_ins(2) as replicas:
            urls = [url for _, url in replicas]
            async with routing(*urls) as routed:
                await routed.ask(LOAD, {"lora_name": "a", "lora_path": "a"})
                replicas[0][0].close()
                await routed.until("down", urls[0])
                again = StandIn()
                await again.start(int(urls[0].rpartition(":")[2]))
                await routed.until("ready", urls[0])
                assert again.adapters == ["a"]
                again.close()

    asyncio.run(act())


def test_the_routers_keys_are_asked_for_and_the_replicas_get_their_own(tmp_path: Path) -> None:
    key = tmp_path / "replica-key"
    key.write_text("secret-of-replicas\n")

    async def act() -> None:
        async with (
            stand_ins(2) as replicas,
            routing(
                *(url for _, url in replicas), api_key=("client",), admin_key=("admin",),
                replica_key_file=key,
            ) as routed,
        ):  # fmt: skip
            for path in ("/v1/models", "/metrics", "/ready", "/replicas", "/v1/anything"):
                assert (await routed.client.get(path)).status_code == 401
            assert (await routed.client.get("/health")).status_code == 200
            headers = {"authorization": "Bearer client"}
            assert (await routed.chat([user("x")])).status_code == 401
            found = await routed.client.post(
                "/v1/chat/completions", json={"messages": [user("x")]}, headers=headers
            )
            assert found.status_code == 200
            load = {"lora_name": "a", "lora_path": "a"}
            for path in (LOAD, f"{LOAD}/", "/v1/load%5flora_adapter"):
                assert (
                    await routed.client.post(path, json=load, headers=headers)
                ).status_code == 403
            headers = {"x-api-key": "admin"}
            assert (await routed.client.post(LOAD, json=load, headers=headers)).status_code == 200
            sent = [one for replica, _ in replicas for one in replica.headers]
            assert {one["authorization"] for one in sent} == {"Bearer secret-of-replicas"}
            assert not any("x-api-key" in one for one in sent)

    asyncio.run(act())


def test_without_keys_of_its_own_the_clients_are_passed_on() -> None:
    async def act() -> None:
        async with stand_ins(1) as ((replica, url),), routing(url) as routed:
            headers = {"authorization": "Bearer mine", "anthropic-version": "1"}
            await routed.client.post("/v1/messages", json={"messages": []}, headers=headers)
            assert replica.headers[0]["authorization"] == "Bearer mine"
            assert replica.headers[0]["anthropic-version"] == "1"

    asyncio.run(act())


def test_a_page_has_the_figures_of_all_replicas() -> None:
    async def act() -> str:
        async with stand_ins(2) as replicas, routing(*(url for _, url in replicas)) as routed:
            for number in range(4):
                await routed.chat([user(f"question {number} " * 100)])
            urls = [url for _, url in replicas]
            listed = (await routed.client.get("/replicas")).json()["data"]
            assert [one["url"] for one in listed] == urls
            assert {one["state"] for one in listed} == {"ready"}
            assert sum(one["requests"] for one in listed) == 4
            page = (await routed.client.get("/metrics")).text
            for one, url in replicas:
                line = (
                    f'tramontane_prefix_cache_queries_total{{replica="{url}",'
                    f'model_name="default"}} {float(one.cache.queries)}'
                )
                assert line in page
                assert f'http_requests_in_flight{{replica="{url}"}} ' in page
                assert f'tramontane_router_replica_ready{{replica="{url}"}} 1.0' in page
            return page

    page = asyncio.run(act())
    from prometheus_client.parser import text_string_to_metric_families

    families = [family.name for family in text_string_to_metric_families(page)]
    assert len(families) == len(set(families))
    assert "tramontane_router_prompt_blocks" in families


def test_pages_are_joined_by_family() -> None:
    one = b'# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 1\na_count 1\nb{} 2\n'
    page = merged([("x", one), ('y"', b"# TYPE a histogram\na_sum 3\n# HELP c C.\nc 4\n")])
    assert page.decode().splitlines() == [
        "# HELP a A.", "# TYPE a histogram", 'a_bucket{replica="x",le="1"} 1',
        'a_count{replica="x"} 1', r'a_sum{replica="y\""} 3', 'b{replica="x"} 2', "# HELP c C.",
        r'c{replica="y\""} 4',
    ]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), [
    ({"to": ("x",)}, "'x' is not the address of a replica: write http"),
    ({"to": ("http://h:1/v1",)}, "it should end with the port"),
    ({"to": ("http://user@h:1",)}, "without a path or a user's name"),
    ({"to": ("http://h:99999999",)}, "write http://HOST:PORT"),
    ({"to": ("unix:",)}, "unix: needs a path"),
])  # fmt: skip
def test_addresses_that_are_none_are_named(given: dict[str, tuple[str]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RouterSettings(**given).replicas()  # type: ignore[arg-type]


def test_limits_of_tokens_are_refused(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ann: sk-1 tokens_per_minute=5\n")
    with pytest.raises(ConfigError, match="'ann' has tokens_per_minute"):
        RouterSettings(api_key_file=keys).check()
