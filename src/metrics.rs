//! Names and labels. Every label comes from a bounded set: servers and tools are those of the
//! catalog, everything else is `other`.

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};
use std::time::Duration;

const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    rejections: IntCounterVec,
    gateway_seconds: Histogram,
    upstream_seconds: HistogramVec,
    pub in_flight: IntGauge,
    pub open_streams: IntGauge,
    pub sessions: IntGauge,
    pub buffered_bytes: IntGauge,
    pub catalog_generation: IntGauge,
    pub catalog_stale_seconds: GaugeVec,
    pub endpoint_up: GaugeVec,
    pub reloads: IntCounterVec,
    pub panics: IntCounter,
    pub registry_changes: IntCounter,
    pub registry_generation: IntGauge,
    pub registry_age_seconds: Gauge,
    pub registry_went_back: IntGauge,
    pub registry_unreadable_rows: IntGauge,
    pub store_up: IntGauge,
    pub store_unanswered: IntGauge,
    pub complaints: IntCounter,
    pub access_log_dropped: IntGauge,
    pub queue_jobs: IntCounterVec,
    pub queue_poison: IntCounter,
    pub queue_in_flight: IntGauge,
    pub ready: Gauge,
}

/// What is counted of one exchange.
pub struct Observation<'o> {
    pub surface: &'static str,
    pub method: &'o str,
    pub server: &'o str,
    pub tool: &'o str,
    pub outcome: &'o str,
    pub total: Duration,
    /// The time spent waiting for an upstream, if there was one.
    pub upstream: Option<Duration>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let registry = Registry::new();
        let build = Build(&registry);
        Metrics {
            requests: build.counters(
                "requests_total",
                "Exchanges, by surface, method, server, tool and outcome",
                &["surface", "method", "server", "tool", "outcome"],
            ),
            rejections: build.counters("rejections_total", "Requests refused by the gateway, by reason", &["reason"]),
            gateway_seconds: build.histogram("gateway_seconds", "Time in the gateway, the upstream's time apart"),
            upstream_seconds: build.histograms("upstream_seconds", "Time waiting for an upstream", &["server"]),
            in_flight: build.gauge("in_flight", "Exchanges under way"),
            open_streams: build.gauge("open_streams", "Event streams under way"),
            sessions: build.gauge("sessions", "Legacy sessions with upstream state"),
            buffered_bytes: build.gauge("buffered_bytes", "Request bodies in memory"),
            catalog_generation: build.gauge("catalog_generation", "Generation of the published catalog"),
            catalog_stale_seconds: build.gauges(
                "catalog_stale_seconds",
                "For how long what a server offers has been stale; 0 while it answers",
                &["server"],
            ),
            endpoint_up: build.gauges("endpoint_up", "1 up, 0.5 suspect, 0 down", &["server", "endpoint"]),
            reloads: build.counters("config_reload_total", "Reloads of the configuration, by result", &["result"]),
            panics: build.counter("panics_total", "Panics; each has ended one exchange or task"),
            complaints: build
                .counter("argument_complaints_total", "Calls made although their arguments or schema are not right"),
            registry_changes: build.counter("registry_changes_total", "Changes of the registry over an API"),
            registry_generation: build
                .gauge("registry_generation", "Generation of the shared registry that is known here"),
            registry_age_seconds: build
                .float("registry_age_seconds", "For how long nobody knows whether it is what is in the store"),
            registry_went_back: build.gauge(
                "registry_went_back",
                "1 while the store holds another registry than the one known here, until an operator decides",
            ),
            registry_unreadable_rows: build
                .gauge("registry_unreadable_rows", "Rows of the store that cannot be read here"),
            store_unanswered: build
                .gauge("store_unanswered", "Questions and changes that the store has not answered, or refused"),
            store_up: build.gauge("store_up", "1 while the store answers"),
            access_log_dropped: build.gauge("access_log_dropped", "Lines that the access log could not take"),
            queue_jobs: build.counters(
                "queue_jobs_total",
                "Jobs of lists that have ended here, by action and outcome",
                &["action", "outcome"],
            ),
            queue_poison: build.counter("queue_poison_total", "Messages of lists that were put aside as no jobs"),
            queue_in_flight: build.gauge("queue_in_flight", "Jobs of lists under way"),
            ready: build.float("ready", "1 while the gateway is ready"),
            registry,
        }
    }
}

impl Metrics {
    pub fn observe(&self, seen: &Observation<'_>) {
        let labels = [seen.surface, seen.method, seen.server, seen.tool, seen.outcome];
        self.requests.with_label_values(&labels).inc();
        let upstream = seen.upstream.unwrap_or_default();
        self.gateway_seconds.observe(seen.total.saturating_sub(upstream).as_secs_f64());
        if seen.upstream.is_some() {
            self.upstream_seconds.with_label_values(&[seen.server]).observe(upstream.as_secs_f64());
        }
    }

    pub fn rejected(&self, reason: &str) {
        self.rejections.with_label_values(&[reason]).inc();
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }
}

/// Makes metrics under our prefix. Names and labels are literals here, so that a mistake shows in
/// the first test; a metric that cannot be registered still counts, unseen.
struct Build<'r>(&'r Registry);

impl Build<'_> {
    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(format!("tollbridge_{name}"), help)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Build::opts(name, help), labels))
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::with_opts(Build::opts(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(GaugeVec::new(Build::opts(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::with_opts(Build::opts(name, help)))
    }

    fn float(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::with_opts(Build::opts(name, help)))
    }

    fn histogram(&self, name: &str, help: &str) -> Histogram {
        let opts = HistogramOpts::from(Build::opts(name, help)).buckets(SECONDS.to_vec());
        self.register(Histogram::with_opts(opts))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::from(Build::opts(name, help)).buckets(SECONDS.to_vec());
        self.register(HistogramVec::new(opts, labels))
    }

    #[expect(clippy::expect_used, reason = "runs once at start, over literals that a test registers as well")]
    fn register<C: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("a metric's name and labels are valid");
        self.0.register(Box::new(metric.clone())).expect("a metric's name is unique");
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_registered_and_rendered() {
        let metrics = Metrics::default();
        metrics.rejected("test");
        let text = String::from_utf8(metrics.render()).unwrap();
        assert!(text.contains("tollbridge_rejections_total{reason=\"test\"} 1"), "{text}");
    }
}
