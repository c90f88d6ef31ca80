"""What is shipped for running a server: files that agree with each other and with the metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
yaml = pytest.importorskip("yaml")


def metric_names() -> set[str]:
    pytest.importorskip("prometheus_client")
    source = "".join(
        (ROOT / "src" / "openbark" / "server" / name).read_text()
        for name in ("speech/metrics.py", "app.py")
    )
    named = set(re.findall(r'"(openbark_\w+)"', source))
    watched = {f"openbark_{name}" for name in re.findall(r'metrics\.watch\(\s*"(\w+)"', source)}
    assert len(named) >= 5 and len(watched) >= 5
    return named | watched


def used_names(text: str) -> set[str]:
    return {
        re.sub(r"_(bucket|total|count|sum)$", "", name)
        for name in re.findall(r"\b(openbark_\w+)", text)
    }


@pytest.mark.parametrize(
    "path", ["deploy/prometheus/alerts.yml", "deploy/grafana/dashboards/openbark.json"]
)
def test_alerts_and_panels_use_metrics_that_exist(path: str) -> None:
    used = used_names((ROOT / path).read_text())
    assert len(used) >= 4
    assert used <= metric_names()


def test_every_alert_says_how_bad_and_what() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 5
    for rule in rules:
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["labels"]["severity"] in ("page", "warn") and rule["annotations"]["summary"]


def expressions() -> list[str]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    board = json.loads((ROOT / "deploy/grafana/dashboards/openbark.json").read_text())
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return rules + panels


def test_every_query_can_be_parsed() -> None:
    parser = pytest.importorskip("promql_parser", reason="needs promql-parser")
    assert len(expressions()) >= 15
    for text in expressions():
        parser.parse(text.replace("$__rate_interval", "5m"))


def test_every_query_is_whole() -> None:
    for text in expressions():
        assert all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}")), text
        assert text.count('"') % 2 == 0
        # What counts up is asked for its rate, and only that.
        for name in re.findall(r"\b(openbark_\w+_(?:total|bucket|sum|count))\b", text):
            assert re.search(rf"(rate|increase)\({name}[^)]*\[", text), text


def test_compose_names_only_what_it_has() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    for service in compose["services"].values():
        assert set(service.get("depends_on", [])) <= set(compose["services"])
        assert "image" in service or "build" in service
        assert not service.get("image", "x:1").endswith(":latest") and ":" in service.get(
            "image", "x:1"
        )
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            known = (
                (ROOT / "deploy" / source).exists()
                if source[0] == "."
                else source in compose["volumes"]
            )
            assert known, mount
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == ["openbark:8000"] and "openbark" in compose["services"]
    assert prometheus["rule_files"] == ["alerts.yml"]


def test_the_container_s_server_has_legal_settings() -> None:
    settings = pytest.importorskip("openbark.server.settings", reason="needs the extra [server]")
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    named = re.findall(r"OPENBARK_SERVER_(\w+)", (ROOT / "Dockerfile").read_text())
    named += [
        name.removeprefix("OPENBARK_SERVER_")
        for name in compose["services"]["openbark"]["environment"]
    ]
    assert len(named) >= 5
    assert {name.lower() for name in named} <= set(settings.ServerSettings.model_fields)


def test_the_container_runs_without_rights_and_with_a_key() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = [index for index, line in enumerate(lines) if line.startswith("FROM ")]
    final = lines[stages[-1] :]
    assert any(line.startswith("USER 1") for line in final)
    assert not any("API_KEY=" in line or "--insecure" in line for line in lines)
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    service = compose["services"]["openbark"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert "OPENBARK_SERVER_API_KEY" in service["environment"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert int(service["stop_grace_period"].rstrip("s")) > 30


def test_the_container_copies_what_the_build_needs() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    for name in ("src", "pyproject.toml", "setup.py", "constraints.txt"):
        assert f"!{name}" in kept


def test_the_board_is_a_dashboard() -> None:
    board = json.loads((ROOT / "deploy/grafana/dashboards/openbark.json").read_text())
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
    assert len(set(places)) == len(places) == 6
