"""The chart as Helm renders it, with the values as they are and with those of a production: `make helm-test`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

helm = pytest.importorskip("helm_python", reason="Helm is not here; `make helm-test` installs it")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

HELM = Path(__file__).parents[2] / "deploy" / "helm"
PRODUCTION = yaml.safe_load((HELM / "production.yaml").read_text())
VERSIONS = ("1.27.0", "1.37.0")

Objects = dict[tuple[str, str], dict[str, Any]]
SERVICES = ("definition", "coordinator", "gateway")
EXECUTORS = {
    "text": "text", "condition": "condition", "transform": "transform", "http-request": "http_request", "llm": "llm",
}  # fmt: skip
DATA = {"definition", "coordinator", "gateway", "migrate"}


def render(values: dict[str, Any], name: str = "demo") -> Objects:
    """Kind and name -> object."""
    with helm.Chart.load(str(HELM / "pipewright")) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name=name, namespace="prod")
    found: Objects = {}
    for path, text in texts.items():
        if not path.endswith(".txt"):
            for one in yaml.safe_load_all(text):
                if one is not None:
                    key = (one["kind"], one["metadata"]["name"].removeprefix(f"{name}-pipewright").strip("-"))
                    assert key not in found, key
                    found[key] = one
    return found


@pytest.fixture(scope="module", params=["default", "production"])
def objects(request: pytest.FixtureRequest) -> Objects:
    return render(PRODUCTION if request.param == "production" else {})


@pytest.fixture(scope="module")
def production() -> Objects:
    return render(PRODUCTION)


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    return {
        name: one["spec"]["template"]["spec"] for (kind, name), one in objects.items() if kind in ("Deployment", "Job")
    }


def test_helm_has_nothing_to_say_against_it():
    found = helm.lint(str(HELM / "pipewright"))
    assert found["errors"] == []
    assert [one["error"] for one in found["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_schemas_of_kubernetes(objects: Objects, version: str):
    for (kind, _), one in objects.items():
        if kind != "ScaledObject":
            kubernetes_validate.validate(one, version, strict=True)


def test_there_is_a_deployment_for_each_service_and_each_type(objects: Objects):
    names = {name for kind, name in objects if kind == "Deployment"}
    assert names == {*SERVICES, *(f"executor-{name}" for name in EXECUTORS)}
    for name, node_type in EXECUTORS.items():
        [container] = pods(objects)[f"executor-{name}"]["containers"]
        assert container["args"] == ["serve", "worker", "--types", node_type]


def test_no_pod_has_more_rights_than_an_ordinary_user(objects: Objects):
    for name, pod in pods(objects).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


def test_secrets_stand_by_reference_and_each_service_has_its_own(objects: Objects):
    for name, pod in pods(objects).items():
        env = {one["name"]: one for one in pod["containers"][0]["env"]}
        secret = {key: one["valueFrom"]["secretKeyRef"]["name"] for key, one in env.items() if "valueFrom" in one}
        assert set(secret.values()) == {f"pipewright-{name}"}
        assert ("PIPEWRIGHT_DATABASE_URL" in secret) is (name in DATA)
        assert ("PIPEWRIGHT_SECRET" in secret) is (name == "coordinator")
        assert ("PIPEWRIGHT_API_KEY" in secret) is (name == "gateway")
        assert not re.search(r"password|secret", str([one.get("value") for one in env.values()]))
    assert not [kind for kind, _ in objects if kind == "Secret"]


def test_life_is_asked_of_what_depends_on_nobody_and_readiness_apart(objects: Objects):
    for (kind, name), one in objects.items():
        if kind != "Deployment":
            continue
        [container] = one["spec"]["template"]["spec"]["containers"]
        live, ready = container["livenessProbe"]["httpGet"], container["readinessProbe"]["httpGet"]
        is_gateway = name == "gateway"
        assert live == {"path": "/api/v3/health" if is_gateway else "/live", "port": "http" if is_gateway else "health"}
        assert ready["path"] == ("/api/v3/ready" if is_gateway else "/ready")
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        env = {one["name"]: one.get("value") for one in container["env"]}
        if is_gateway:
            assert (ports["http"], env["PIPEWRIGHT_PORT"], env["PIPEWRIGHT_HOST"]) == (8080, "8080", "0.0.0.0")
        assert ports["health"] == 8081
        assert (env["PIPEWRIGHT_HEALTH_PORT"], env["PIPEWRIGHT_HEALTH_HOST"]) == ("8081", "0.0.0.0")


def test_tables_and_streams_are_made_before_anything_starts(objects: Objects):
    for name in ("migrate", "topology"):
        job = objects["Job", name]
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [name]


def test_one_pod_of_each_kind_may_be_away_at_once(objects: Objects):
    budgets = {name for kind, name in objects if kind == "PodDisruptionBudget"}
    assert budgets == {name for kind, name in objects if kind == "Deployment"}
    for name in budgets:
        budget, deployment = objects["PodDisruptionBudget", name], objects["Deployment", name]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        selector = budget["spec"]["selector"]["matchLabels"]
        assert budget["spec"]["maxUnavailable"] == 1
        assert selector.items() <= labels.items()
        assert selector == deployment["spec"]["selector"]["matchLabels"]


def test_a_gateway_that_leaves_takes_what_is_still_sent_to_it(objects: Objects):
    for name, pod in pods(objects).items():
        lifecycle = pod["containers"][0].get("lifecycle")
        assert lifecycle == ({"preStop": {"exec": {"command": ["sleep", "5"]}}} if name == "gateway" else None), name


def test_by_default_nothing_needs_more_than_kubernetes():
    kinds = {kind for kind, _ in render({})}
    assert kinds == {"Deployment", "Service", "Job", "PodDisruptionBudget"}


def test_production_has_three_coordinators_and_tls(production: Objects):
    assert production["Deployment", "coordinator"]["spec"]["replicas"] == 3
    for name, pod in pods(production).items():
        mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
        assert mounts["nats-ca"] == "/etc/pipewright/nats-ca", name
    [rule] = production["Ingress", ""]["spec"]["tls"]
    assert rule == {"hosts": ["pipewright.example.com"], "secretName": "pipewright-tls"}


def test_every_service_knows_its_profile(objects: Objects, production: Objects):
    expected = "production" if objects == production else "development"
    for (kind, name), one in objects.items():
        if kind == "Deployment":
            [container] = one["spec"]["template"]["spec"]["containers"]
            values = {item["name"]: item.get("value") for item in container["env"]}
            told = values["PIPEWRIGHT_PROFILE"], values["PIPEWRIGHT_TRUSTED_NETWORK"]
            assert told == (expected, "false"), name


@pytest.mark.parametrize(("name", "node_type"), EXECUTORS.items())
def test_keda_scales_each_type_by_the_lag_of_its_consumer(production: Objects, name: str, node_type: str):
    scaled = production["ScaledObject", f"executor-{name}"]["spec"]
    deployment = production["Deployment", f"executor-{name}"]

    assert "replicas" not in deployment["spec"]
    assert scaled["scaleTargetRef"] == {"name": deployment["metadata"]["name"]}
    [trigger] = scaled["triggers"]
    assert trigger["type"] == "nats-jetstream"
    # A number would be refused: the fields of a trigger are texts.
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trigger["metadata"] == {
        "natsServerMonitoringEndpoint": "nats-headless.nats.svc.cluster.local:8222",
        "useHttps": "false",
        "account": "PIPEWRIGHT",
        "stream": "NODE_WORK",
        "consumer": node_type,
        "lagThreshold": {"llm": "64", "http_request": "256"}.get(node_type, "500"),
    }


def reaches(policy: dict[str, Any]) -> set[str]:
    """Which of nats, postgres, names and internet the pods of a policy may reach."""
    found = set()
    for rule in policy["spec"]["egress"]:
        ports = {one["port"] for one in rule.get("ports", [])}
        if ports == {53}:
            found.add("names")
        elif ports == {4222}:
            found.add("nats")
        elif ports == {5432}:
            found.add("postgres")
        else:
            [first, _] = rule["to"]
            assert first["ipBlock"]["cidr"] == "0.0.0.0/0"
            assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(first["ipBlock"]["except"])
            found.add("internet")
    return found


def test_only_services_with_tables_reach_postgres_and_only_callers_the_internet(production: Objects):
    policies = {name: reaches(one) for (kind, name), one in production.items() if kind == "NetworkPolicy"}

    assert policies == {
        "definition": {"names", "nats", "postgres"},
        "coordinator": {"names", "nats", "postgres"},
        "gateway": {"names", "nats", "postgres"},
        "migrate": {"names", "postgres"},
        "topology": {"names", "nats"},
        "executor-text": {"names", "nats"},
        "executor-condition": {"names", "nats"},
        "executor-transform": {"names", "nats"},
        "executor-http-request": {"names", "nats", "internet"},
        "executor-llm": {"names", "nats", "internet"},
    }


def test_nobody_calls_a_pod_but_the_gateway_and_prometheus_its_metrics(production: Objects):
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    for (kind, name), one in production.items():
        if kind == "NetworkPolicy":
            assert one["spec"]["policyTypes"] == ["Ingress", "Egress"]
            called = {rule["ports"][0]["port"]: rule["from"] for rule in one["spec"].get("ingress", [])}
            assert set(called) == {"gateway": {8080, 8081}, "migrate": set(), "topology": set()}.get(name, {8081})
            assert called.get(8081, monitoring) == monitoring


def test_without_a_reader_no_metrics_are_reached():
    server = {"peers": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}
    objects = render({"networkPolicy": {"enabled": True, "nats": server, "postgres": server}})
    policies = {name: one["spec"] for (kind, name), one in objects.items() if kind == "NetworkPolicy"}
    assert [name for name, policy in policies.items() if "ingress" in policy] == ["gateway"]
    assert [rule["ports"][0]["port"] for rule in policies["gateway"]["ingress"]] == [8080]


def test_a_type_of_ones_own_is_one_entry():
    objects = render({"executors": {"shout": {"types": ["shout"], "env": {"A": "1"}}}})
    container = objects["Deployment", "executor-shout"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["serve", "worker", "--types", "shout"]
    assert {"name": "A", "value": "1"} in container["env"]


def test_a_wrong_value_is_refused():
    with pytest.raises(helm.HelmError, match="replicas"):
        render({"coordinator": {"replicas": "three"}})
