"""What the Dockerfile says, against the repository and the manifests. It is not built here."""

import re
import sys

from rendered import K8S, ROOT, Report, gateway, pod, rendered

KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "EXPOSE", "FROM", "RUN", "USER", "VOLUME", "WORKDIR"}


def main(folder):
    report = Report()
    lines = instructions((K8S / "Dockerfile").read_text())
    for word, rest in lines:
        report.demand(word in KNOWN, f"{word} is no instruction that is used here")
    last = dict(lines[max(index for index, (word, _) in enumerate(lines) if word == "FROM"):])
    report.demand(last["FROM"].endswith(":nonroot"), f"the image is made from {last['FROM']}")
    report.demand(last["ENTRYPOINT"] == '["/usr/local/bin/tollbridge"]', f"the image runs {last['ENTRYPOINT']}")
    rust = re.search(r'rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text())[1]
    report.demand(any(rest.startswith(f"rust:{rust}-") for _, rest in lines), f"it is not built with Rust {rust}")
    # The build sees what the ignore file lets through: all members of the workspace, and what they are patched with.
    kept = {line[1:] for line in (K8S / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in sorted(kept):
        report.demand((ROOT / name).exists(), f"the build wants {name}, and there is none")
    manifest = (ROOT / "Cargo.toml").read_text()
    wanted = set(re.findall(r'path = "([^"/]+)', manifest)) - {"tests"}
    wanted |= set(re.findall(r'"(\w+)"', re.search(r"^members = \[(.*)\]", manifest, re.M)[1]))
    wanted |= {"Cargo.toml", "Cargo.lock", "src"}
    report.demand(wanted <= kept, f"the build does not see {sorted(wanted - kept)}")
    for (way, shape), objects in rendered(folder).items():
        user = pod(objects)["securityContext"]
        report.demand(last["USER"] == f"{user['runAsUser']}:{user['runAsGroup']}", f"{way}, {shape}: another user")
        ports = " ".join(str(port["containerPort"]) for port in gateway(pod(objects))["ports"])
        report.demand(last["EXPOSE"] == ports, f"{way}, {shape}: the ports {ports}")
        mounted = [each["mountPath"] for each in gateway(pod(objects))["volumeMounts"]]
        report.demand(last["VOLUME"] in mounted, f"{way}, {shape}: {last['VOLUME']} is not mounted")
    report.finish(f"{len(lines)} instructions of the Dockerfile were read; the image is not built here")


def instructions(text):
    """(word, rest) of each, without comments, with continued lines in one."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", code).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


main(sys.argv[1])
