"""Every object against the schemas of the API, the chart against the overlays, and what no schema knows."""

import json
import re
import sys

import kubernetes_validate
import yaml
from rendered import K8S, SHAPES, Report, configuration, containers, examples, gateway, of_kind, pod, rendered

# The first with `preStop.sleep`, and the newest that the schemas are there for.
VERSIONS = ("1.30", "1.37")
# Their schemas are not the API's.
CUSTOM = ("ServiceMonitor", "PrometheusRule")
# Only the chart wraps files that lie outside the overlays.
CHART_ONLY = {("PrometheusRule", "tollbridge"), ("ConfigMap", "tollbridge-dashboard")}


def main(folder):
    report = Report()
    shapes = rendered(folder)
    valid = skipped = 0
    for (way, shape), objects in shapes.items():
        where = f"{way}, {shape}"
        for each in objects + examples(shape):
            if each["kind"] in CUSTOM:
                skipped += 1
                print(f"skipped, a custom resource: {each['kind']} ({where})")
                continue
            validate(report, each, where)
            valid += 1
    # What follows takes the objects for what they claim to be.
    if report.wrong:
        report.finish(f"{valid} objects were compared with the schemas, and nothing else with anything")
    for (way, shape), objects in shapes.items():
        where = f"{way}, {shape}"
        check_pod(report, objects, where)
        check_secrets(report, objects, shape, where)
        check_selectors(report, objects, where)
    for shape in SHAPES:
        compare(report, shapes["kustomize", shape], shapes["chart", shape], shape)
        check_wrapped(report, shapes["chart", shape], shape)
    check_target(report, shapes["kustomize", "edge"])
    report.finish(
        f"{valid} objects are valid in {' and '.join(VERSIONS)}, strictly; {skipped} custom resources skipped; "
        f"{len(SHAPES)} shapes of the chart are those of the overlays"
    )


def validate(report, each, where):
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            path = ".".join(str(step) for step in getattr(error, "path", ()))
            report.demand(False, f"{each['kind']} ({where}), {version}: {path} {error.message}")


def check_pod(report, objects, where):
    """The time to end, and what a restricted namespace demands."""
    spec = pod(objects)
    sleeps = [each.get("lifecycle", {}).get("preStop", {}).get("sleep", {}) for each in containers(spec)]
    exit_seconds = seconds(yaml.safe_load(configuration(objects))["drain"]["exit"])
    needed = sum(sleep.get("seconds", 0) for sleep in sleeps) + exit_seconds
    grace = spec["terminationGracePeriodSeconds"]
    report.demand(grace > needed, f"{where}: a grace of {grace} s, but preStop and drain.exit take {needed} s")
    report.demand(spec["automountServiceAccountToken"] is False, f"{where}: the pod gets a token")
    report.demand(spec["securityContext"]["runAsNonRoot"] is True, f"{where}: the pod may run as root")
    report.demand(spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, f"{where}: no seccomp")
    for each in containers(spec):
        context = each["securityContext"]
        hard = not context["allowPrivilegeEscalation"] and context["readOnlyRootFilesystem"]
        report.demand(hard and context["capabilities"] == {"drop": ["ALL"]}, f"{where}: {each['name']} is not hardened")
        report.demand("memory" in each["resources"]["limits"], f"{where}: {each['name']} may take all memory")
    names = {port["name"] for port in gateway(spec)["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        report.demand(gateway(spec)[probe]["httpGet"]["port"] in names, f"{where}: {probe} goes to no port")


def seconds(duration):
    return int(re.fullmatch(r"(\d+)s", duration)[1])


def check_secrets(report, objects, shape, where):
    """Whatever is referred to is in the example, and nothing else is."""
    known = {(each["metadata"]["name"], key) for each in examples(shape) for key in each["stringData"]}
    used = set(secrets(objects))
    report.demand(used <= known, f"{where}: not in secret.example.yaml: {sorted(used - known)}")
    report.demand(known <= used, f"{where}: in secret.example.yaml for nothing: {sorted(known - used)}")


def secrets(node):
    """(name, key) of all references to Secrets below a node."""
    if isinstance(node, list):
        for each in node:
            yield from secrets(each)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in ("secretKeyRef", "credentials"):
                yield value["name"], value["key"]
            elif name == "secret":
                yield from ((value["name"], item["key"]) for item in value["items"])
            else:
                yield from secrets(value)


def check_selectors(report, objects, where):
    """A Service, budget or policy that selects nothing is valid and useless."""
    (deployment,) = of_kind(objects, "Deployment")
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["containerPort"] for each in containers(pod(objects)) for port in each.get("ports", [])}
    selectors = {"Deployment": deployment["spec"]["selector"]["matchLabels"]}
    for service in of_kind(objects, "Service"):
        selectors[f"Service {service['metadata']['name']}"] = service["spec"]["selector"]
        for port in service["spec"]["ports"]:
            report.demand(port["targetPort"] in ports, f"{where}: no container has the port {port['targetPort']}")
    for kind, field in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        for each in of_kind(objects, kind):
            selectors[f"{kind} {each['metadata']['name']}"] = each["spec"][field]["matchLabels"]
    for name, selector in selectors.items():
        report.demand(selector.items() <= pods.items(), f"{where}: {name} does not select the pods")
    for monitor in of_kind(objects, "ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        chosen = [each for each in of_kind(objects, "Service") if selector.items() <= each["metadata"]["labels"].items()]
        names = [port["name"] for each in chosen for port in each["spec"]["ports"]]
        report.demand(names == [monitor["spec"]["endpoints"][0]["port"]], f"{where}: the ServiceMonitor finds {names}")
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        report.demand(target == deployment["metadata"]["name"], f"{where}: the autoscaler scales {target}")


def compare(report, overlay, chart, shape):
    """Object by object, but for what kustomize and helm add."""
    (overlay, chart) = ({key(each): plain(each) for each in objects} for objects in (overlay, chart))
    extra = (set(chart) ^ set(overlay)) - CHART_ONLY
    report.demand(not extra, f"{shape}: in one of overlay and chart only: {sorted(extra)}")
    for name in sorted(set(overlay) & set(chart)):
        for path in differences(overlay[name], chart[name]):
            report.demand(False, f"{shape}: {' '.join(name)} differs between overlay and chart at {path}")


def key(each):
    name = each["metadata"]["name"]
    return each["kind"], unhashed(name) if each["kind"] == "ConfigMap" else name


def unhashed(name):
    """Without what kustomize adds to the name of a generated ConfigMap."""
    return re.sub(r"-[a-z0-9]{10}$", "", name)


def plain(each):
    """Without hashes and the chart's labels."""
    each = json.loads(json.dumps(each))
    each["metadata"]["name"] = key(each)[1]
    for label in ("app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"):
        each["metadata"]["labels"].pop(label, None)
    if each["kind"] == "Deployment":
        template = each["spec"]["template"]
        template["metadata"].get("annotations", {}).pop("checksum/config", None)
        if not template["metadata"].get("annotations"):
            template["metadata"].pop("annotations", None)
        for volume in template["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                if "configMap" in source:
                    source["configMap"]["name"] = unhashed(source["configMap"]["name"])
    return each


def differences(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(set(one) | set(other)):
            yield from differences(one.get(name), other.get(name), f"{path}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other)):
            yield from differences(*pair, f"{path}[{index}]")
    elif one != other:
        yield f"{path}: {one!r} and {other!r}"


def check_wrapped(report, chart, shape):
    (rule,) = of_kind(chart, "PrometheusRule")
    report.demand(rule["spec"] == yaml.safe_load((K8S / "alerts.yaml").read_text()), f"{shape}: other rules in the chart")
    (board,) = [each for each in of_kind(chart, "ConfigMap") if "tollbridge.json" in each["data"]]
    same = json.loads(board["data"]["tollbridge.json"]) == json.loads((K8S / "dashboard.json").read_text())
    report.demand(same, f"{shape}: another dashboard in the chart")


def check_target(report, edge):
    """The alert knows the autoscaler's number."""
    (scaler,) = of_kind(edge, "HorizontalPodAutoscaler")
    (target,) = [each["pods"]["target"]["averageValue"] for each in scaler["spec"]["metrics"] if "pods" in each]
    known = f"tollbridge_open_streams) > 0.9 * {target}\n" in (K8S / "alerts.yaml").read_text()
    report.demand(known, f"the autoscaler aims at {target} streams, TollbridgeStreamsNearTarget at another number")


main(sys.argv[1])
