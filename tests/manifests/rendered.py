"""What was rendered, and what every check asks of it."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
SHAPES = ("edge", "sidecar")
WAYS = ("kustomize", "chart")


def load(path):
    return [each for each in yaml.safe_load_all(Path(path).read_text()) if each]


def rendered(folder):
    """The objects of each shape, by each way: {(way, shape): [object]}."""
    return {(way, shape): load(Path(folder) / f"{way}-{shape}.yaml") for way in WAYS for shape in SHAPES}


def examples(shape):
    """The Secrets that an operator makes."""
    return load(K8S / "overlays" / shape / "secret.example.yaml")


def of_kind(objects, kind):
    return [each for each in objects if each["kind"] == kind]


def pod(objects):
    """The one Deployment's pod."""
    (deployment,) = of_kind(objects, "Deployment")
    return deployment["spec"]["template"]["spec"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def gateway(pod):
    (container,) = [each for each in containers(pod) if each["name"] == "tollbridge"]
    return container


def configuration(objects):
    """The text of gateway.yaml."""
    (text,) = [each["data"]["gateway.yaml"] for each in of_kind(objects, "ConfigMap") if "gateway.yaml" in each["data"]]
    return text


class Report:
    """Collects what is wrong, and says in the end what was looked at."""

    def __init__(self):
        self.wrong = 0

    def demand(self, holds, complaint):
        if not holds:
            self.wrong += 1
            print(f"WRONG: {complaint}")

    def finish(self, summary):
        print(summary)
        if self.wrong:
            sys.exit(f"{self.wrong} wrong")
