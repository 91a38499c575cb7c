"""Every expression of alerts and dashboard: that promtool reads it, and that a gateway has its metrics and labels."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass, field

import promql_parser as promql
import yaml
from rendered import K8S, ROOT, Report
from scrape import scrape

# What Prometheus and the ServiceMonitor add to every series.
TARGET = {"container", "instance", "job", "namespace", "pod", "service"}
# What does not come from a gateway.
FOREIGN = {
    "up": set(),
    "container_cpu_usage_seconds_total": set(),
    "container_memory_working_set_bytes": set(),
}
# Labels whose values are words of our code.
WORDED = {"outcome", "reason", "result"}


@dataclass
class Expression:
    where: str
    text: str
    # What is shown of a result, with labels in it.
    shown: list = field(default_factory=list)


def main():
    report = Report()
    expressions = list(alerts()) + list(panels())
    check_by_promtool(report, expressions)
    if report.wrong:
        report.finish(f"{len(expressions)} expressions were read by promtool, and compared with nothing")
    metrics = scrape()
    words = {word for file in (ROOT / "src").rglob("*.rs") for word in re.findall(r'"([a-z_]+)"', file.read_text())}
    used = set()
    for expression in expressions:
        reader = Reader(report, metrics, words, expression.where)
        labels = reader.labels(promql.parse(expression.text))
        used |= reader.used
        for label in re.findall(r"\{\{(\w+)\}\}|\$labels\.(\w+)", " ".join(expression.shown)):
            report.demand(max(label) in labels, f"{expression.where} shows {max(label)}, which its result has not")
    own = [name for name in metrics if name.startswith("tollbridge_")]
    unused = {name for name in own if not re.search(r"_(sum|count|bucket)$", name)} - used
    if unused:
        print(f"in no alert and no panel: {', '.join(sorted(unused))}")
    report.finish(f"{len(expressions)} expressions with {len(used)} metrics, against {len(own)} of a gateway")


def alerts():
    for group in yaml.safe_load((K8S / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            notes = rule["annotations"]
            yield Expression(f"alert {rule['alert']}", rule["expr"], [notes["summary"], notes["description"]])


def panels():
    board = json.loads((K8S / "dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield Expression(f"panel {panel['title']!r}", filled(target["expr"]), [target["legendFormat"]])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
            yield Expression(f"variable {variable['name']}", f"count by ({label}) ({filled(metric)})")


def filled(text):
    """With something in place of Grafana's variables."""
    return re.sub(r"\$\w+", "x", text.replace("$__rate_interval", "5m"))


def check_by_promtool(report, expressions):
    rules = [{"record": f"expression:{index}", "expr": each.text} for index, each in enumerate(expressions)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"groups": [{"name": "all", "rules": rules}]}, file)
        file.flush()
        said = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    report.demand(said.returncode == 0, f"promtool: {said.stdout}{said.stderr}")


class Reader:
    """Follows an expression from its metrics to its result, and knows at each step which labels there are."""

    def __init__(self, report, metrics, words, where):
        self.report = report
        self.metrics = metrics
        self.words = words
        self.where = where
        self.used = set()

    def labels(self, node):
        match node:
            case promql.VectorSelector():
                return self.selected(node)
            case promql.MatrixSelector():
                return self.selected(node.vector_selector)
            case promql.AggregateExpr():
                return self.aggregated(node)
            case promql.BinaryExpr():
                return self.combined(node)
            case promql.Call():
                labels = set().union(*(self.labels(each) for each in node.args))
                return labels - {"le"} if node.func.name == "histogram_quantile" else labels
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                return self.labels(node.expr)
            case _:
                return set()

    def selected(self, node):
        self.used.add(node.name)
        known = self.metrics.get(node.name, FOREIGN.get(node.name))
        if known is None:
            self.demand(False, f"there is no metric {node.name}")
            return set(TARGET)
        known = known | TARGET
        for matcher in node.matchers.matchers:
            self.demand(matcher.name in known, f"{node.name} has no label {matcher.name}")
            if matcher.name in WORDED:
                for word in matcher.value.split("|"):
                    meant = any(re.fullmatch(word, each) for each in self.words)
                    self.demand(meant, f"no {matcher.name} of {node.name} is {word}")
        return known

    def aggregated(self, node):
        labels = self.labels(node.expr)
        if str(node.op) in ("topk", "bottomk"):
            return labels
        if node.modifier is None:
            return set()
        named = set(node.modifier.labels)
        self.demand(named <= labels, f"{sorted(named - labels)} is grouped by, and not there")
        return named if str(node.modifier).startswith("by") else labels - named

    def combined(self, node):
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        matching = node.modifier.matching if node.modifier else None
        for label in matching.labels if matching else ():
            self.demand(label in left and label in right, f"{label} is matched on, and not there")
        return left or right

    def demand(self, holds, complaint):
        self.report.demand(holds, f"{self.where}: {complaint}")


main()
