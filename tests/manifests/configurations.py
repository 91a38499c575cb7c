"""`tollbridge check` of every configuration in a ConfigMap, with the variables and files that its Deployment gives."""

import os
import re
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

import yaml
from rendered import Report, configuration, gateway, pod, rendered

FOLDER = "/etc/tollbridge"


def main(folder):
    report = Report()
    checked = references = 0
    for (way, shape), objects in rendered(folder).items():
        where = f"{way}, {shape}"
        text = configuration(objects)
        variables, files = given(pod(objects))
        references += check_references(report, text, variables, files, where)
        check_written(report, text, pod(objects), where)
        check(report, text, variables, files, where)
        checked += 1
    report.finish(f"{checked} configurations were checked, with {references} references to variables and files")


def given(spec):
    """The variables and files that the gateway's container has."""
    container = gateway(spec)
    variables = {each["name"] for each in container.get("env", [])}
    mounts = {each["name"]: PurePosixPath(each["mountPath"]) for each in container["volumeMounts"]}
    files = set()
    for volume in spec["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            for items in (each.get("items", []) for each in source.values()):
                files |= {str(mounts[volume["name"]] / item["path"]) for item in items}
    return variables, files


def check_references(report, text, variables, files, where):
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    named = set(re.findall(r"\$\{([A-Za-z_]\w*)\}", code))
    paths = set(re.findall(rf"{FOLDER}/[\w./-]+", code))
    report.demand(named <= variables, f"{where}: nobody sets {sorted(named - variables)}")
    report.demand(paths <= files, f"{where}: nobody mounts {sorted(paths - files)}")
    return len(named) + len(paths)


def check_written(report, text, spec, where):
    """The root is read-only, so what the registry keeps needs a volume."""
    path = yaml.safe_load(text)["registry"]["path"]
    writable = [each["mountPath"] for each in gateway(spec)["volumeMounts"] if not each.get("readOnly")]
    report.demand(str(PurePosixPath(path).parent) in writable, f"{where}: {path} cannot be written")


def check(report, text, variables, files, where):
    with tempfile.TemporaryDirectory() as root:
        for file in files:
            path = Path(root + file)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_dummy(path)
        file = Path(root, "gateway.yaml")
        file.write_text(text.replace(f"{FOLDER}/", f"{root}{FOLDER}/"))
        environment = {"PATH": os.environ["PATH"]} | {name: dummy() for name in variables}
        command = [os.environ["TOLLBRIDGE"], "check", "--config", file]
        said = subprocess.run(command, env=environment, capture_output=True, text=True)
        report.demand(said.returncode == 0, f"{where}: {said.stderr.strip() or said.stdout.strip()}".replace(root, ""))


def dummy():
    """Fit for a key, a password and a seal."""
    return secrets.token_hex(32)


def write_dummy(path):
    if path.suffix != ".crt":
        path.write_text(dummy())
        return
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    subprocess.run([*command, "-keyout", "/dev/null", "-out", path], check=True, capture_output=True)


main(sys.argv[1])
