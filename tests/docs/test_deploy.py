"""What docs/deploy.md and its files say is what the programs take."""

import re
from typing import Any

import click
import pytest
import yaml
from mlflow import environment_variables as known
from mlflow.cli import server

from service.middleware.request_metrics import PROBES
from service.settings import Settings
from tests.docs.pages import ROOT, commands, judge

FOLDER = ROOT / "docs" / "deploy"
PAGE = ROOT / "docs" / "deploy.md"
MANIFESTS = sorted((FOLDER / "kubernetes").glob("*.yaml"))
HIDDEN = "PASSWORD|SECRET|API_KEY|STORE_URI|LEDGER"
PORT = {"service": 3000, "mlflow": 5000}


def compose() -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return described


def resources() -> list[dict[str, Any]]:
    return [r for path in MANIFESTS for r in yaml.safe_load_all(path.read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """The pod of every workload, by the workload's name."""
    by_name = {}
    for resource in resources():
        spec = resource["spec"].get("jobTemplate", resource)["spec"]
        if "template" in spec:
            by_name[resource["metadata"]["name"]] = spec["template"]["spec"]
    return by_name


def containers() -> list[dict[str, Any]]:
    return [c for pod in pods().values() for c in pod["containers"]]


def after(words: list[str], *start: str) -> list[str] | None:
    """What follows the words `start`, None where they do not follow one another."""
    for at in range(len(words)):
        if words[at : at + len(start)] == list(start):
            return words[at + len(start) :]
    return None


def test_every_command_of_the_page_names_verbs_and_options_that_exist():
    lines = list(commands(PAGE))
    of_jobs = [w for line in lines if (w := after(line, "run", "--rm", "jobs"))]
    assert len(of_jobs) >= 6
    for words in of_jobs:
        judge(words)


def test_the_campaign_of_kubernetes_is_a_command_that_exists():
    (jobs,) = pods()["casting-campaign"]["containers"]
    judge(list(jobs["args"]))


def test_the_flags_of_the_tracking_server_exist():
    flags = {flag for parameter in server.params for flag in parameter.opts}
    (pod,) = pods()["mlflow"]["containers"]
    for arguments in (compose()["services"]["mlflow"]["command"], pod["args"]):
        assert {argument.split("=")[0] for argument in arguments} <= flags
        assert any(argument.startswith("--allowed-hosts=mlflow:5000") for argument in arguments)
        assert f"--port={PORT['mlflow']}" in arguments


def variables() -> set[str]:
    """Every variable that a file of ours sets or the page names."""
    given = {e["name"] for c in containers() for e in c.get("env", [])}
    for service in compose()["services"].values():
        given |= set(service.get("environment", {}))
    named = re.findall(r"\b(?:CASTING|MLFLOW)_[A-Z_]+\b", PAGE.read_text())
    return given | set(named)


def test_every_variable_is_one_that_somebody_reads():
    source = (ROOT / "jobs" / "adapters" / "environment.py").read_text()
    read = {f"CASTING_{name.upper()}" for name in Settings.model_fields}
    ours = {name for name in variables() if name.startswith("CASTING_")}
    assert {"CASTING_API_KEY", "CASTING_LEDGER", "CASTING_MODEL"} <= ours
    assert {name for name in ours - read if f'"{name}"' not in source} == set()
    options = {p.envvar for p in server.params if isinstance(p, click.Option)}
    theirs = {name for name in variables() if name.startswith("MLFLOW_")}
    assert {"MLFLOW_BACKEND_STORE_URI", "MLFLOW_TRACKING_URI"} <= theirs
    assert {n for n in theirs if n not in options and not hasattr(known, n)} == set()


def test_no_secret_stands_in_a_file():
    example = (FOLDER / "env.example").read_text()
    assert re.findall(rf"^(\w*(?:{HIDDEN})\w*=.+)$", example, flags=re.MULTILINE) == []
    given = [v for s in compose()["services"].values() for v in s.get("environment", {}).items()]
    secrets = {name: value for name, value in given if re.search(HIDDEN, name)}
    assert {"POSTGRES_PASSWORD", "CASTING_API_KEY", "CASTING_LEDGER"} <= set(secrets)
    assert [name for name, value in secrets.items() if "${" not in value] == []
    variables = [variable for container in containers() for variable in container["env"]]
    told = {v["name"]: v.get("valueFrom", {}) for v in variables if re.search(HIDDEN, v["name"])}
    assert [name for name, source in told.items() if "secretKeyRef" not in source] == []


def test_every_variable_that_compose_fills_in_is_in_the_example():
    wanted = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    example = (FOLDER / "env.example").read_text()
    assert wanted == set(re.findall(r"^(\w+)=", example, flags=re.MULTILINE))


def images() -> list[str]:
    base = re.findall(r"^FROM (\S+)", (FOLDER / "Dockerfile.jobs").read_text(), flags=re.MULTILINE)
    of_compose = [service["image"] for service in compose()["services"].values()]
    return base + of_compose + [container["image"] for container in containers()]


@pytest.mark.parametrize("image", sorted(set(images())))
def test_every_image_is_pinned_to_a_version(image: str):
    assert re.search(r":v?\d+\.\d+[\w.-]*$", image)


def test_compose_waits_for_what_is_ready():
    services = compose()["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"][0] == "CMD"
            else:  # a program that ends: compose would wait for ever for one that is started again
                assert wait["condition"] == "service_completed_successfully"
                assert "restart" not in services[name]
    used = {v.split(":")[0] for s in services.values() for v in s.get("volumes", [])}
    assert {v for v in used if v.isalpha()} == set(compose()["volumes"])


def test_ports_and_health_paths_are_those_that_the_programs_have():
    assert compose()["services"]["service"]["ports"] == [f"{PORT['service']}:{PORT['service']}"]
    check = compose()["services"]["service"]["healthcheck"]["test"][-1]
    assert f"http://127.0.0.1:{PORT['service']}/livez" in check
    (pod,) = pods()["casting-inspector"]["containers"]
    assert pod["ports"] == [{"name": "http", "containerPort": PORT["service"]}]
    probes = {kind: pod[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
    assert probes == {"liveness": "/livez", "readiness": "/readyz"}
    assert set(probes.values()) <= set(PROBES)
    assert Settings().model in {e.get("value") for e in pod["env"]}


@pytest.mark.parametrize("name", sorted(pods()))
def test_every_pod_has_no_rights_that_it_does_not_need(name: str):
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    writable = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert set(container["resources"]) == {"requests", "limits"}
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert mounts["/tmp"] in writable  # noqa: S108 -- inside the container


def test_labels_selectors_and_secrets_fit_together():
    by_kind = {(r["kind"], r["metadata"]["name"]): r["spec"] for r in resources()}
    for name in ("casting-inspector", "mlflow"):
        deployment = by_kind["Deployment", name]
        labels = deployment["template"]["metadata"]["labels"]
        assert deployment["selector"]["matchLabels"] == labels
        assert by_kind["Service", name]["selector"] == labels
    budget = by_kind["PodDisruptionBudget", "casting-inspector"]
    assert budget["minAvailable"] < by_kind["Deployment", "casting-inspector"]["replicas"]
    assert by_kind["CronJob", "casting-campaign"]["concurrencyPolicy"] == "Forbid"
    keys = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for container in containers()
        for variable in container["env"]
        if "valueFrom" in variable
    }
    assert {key for key in keys if f"`{key}`" not in PAGE.read_text()} == set()
