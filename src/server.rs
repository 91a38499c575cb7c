//! Wires everything into one Pingora server: the data listener, the operators' listener and the
//! control service; start and drain.

mod drain;
mod upgrade;

pub use drain::{InFlightGuard, LINGER, Lifecycle, Stage};

use crate::admin::Admin;
use crate::conf::{Conf, Tls};
use crate::control::Control;
use crate::gateway::{Gateway, taken};
use crate::proxy::{Listener, Proxy};
use crate::queue;
use crate::registry::Store;
use anyhow::{Context, Result, anyhow};
use drain::Signals;
use pingora::apps::HttpServerOptions;
use pingora::apps::http_app::HttpServer;
use pingora::listeners::tls::TlsSettings;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use upgrade::{Handover, Meeting};

/// How the process comes to its listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Open,
    /// From a process that runs.
    TakeOver(i32),
}

/// Serves until SIGTERM or Ctrl-C, then drains; or until another process takes over (SIGQUIT). `file` is
/// watched for changes.
pub fn run(conf: Conf, file: Option<PathBuf>, start: Start) -> Result<()> {
    for taken in &conf.taken {
        tracing::info!("{taken}");
    }
    for idle in &conf.idle {
        tracing::info!("{idle}");
    }
    if conf.keys.is_empty() {
        tracing::warn!("no keys are configured: everybody on this machine may call every server");
    }
    if let Some(file) = &conf.upstream_ca {
        crate::upstream::set_ca_file(file.to_string_lossy().into_owned());
    }
    let drain = conf.drain;
    let meeting = file.as_deref().map(Meeting::beside).transpose()?;
    let mut server = open(&conf, meeting.as_ref(), start)?;
    let kept = conf.registry_path(file.as_deref());
    let store = Store::open(&conf, kept.as_deref(), taken(&conf))?;
    let left = kept.map(|registry| registry.with_extension("sessions"));
    let gateway = Arc::new(Gateway::new(conf, store).context("the access log cannot be opened")?);
    count_panics(&gateway);
    let sessions = Handover { gateway: Arc::clone(&gateway), file: left };
    if let Start::TakeOver(before) = start {
        sessions.begin_beside(before);
    }
    sessions.take_over();
    add_services(&mut server, &gateway, file)?;
    queue::start(&gateway)?;
    let phases = server.watch_execution_phase();
    let signals = Box::new(Signals::new(Arc::clone(&gateway), drain, meeting, sessions.clone()));
    // Pingora sleeps through its whole grace period even when nothing is left to do, so it runs on
    // a thread of its own, and this one ends the process when the last exchange has ended.
    let serving = std::thread::Builder::new().name("pingora".to_owned());
    serving.spawn(move || server.run(RunArgs { shutdown_signal: signals })).context("no thread for the server")?;
    Lifecycle::follow(&gateway, phases).context("no thread for the end")?;
    gateway.lifecycle.wait_until_drained(drain.exit);
    if !gateway.lifecycle.is_handed_over() {
        sessions.hand_over();
    }
    Ok(())
}

/// A server with its listeners, or with those of the process that it takes over from.
fn open(conf: &Conf, meeting: Option<&Meeting>, start: Start) -> Result<Server> {
    let options = match (start, meeting) {
        (Start::Open, _) => {
            for addr in [conf.listen.addr, conf.admin.listen] {
                check_bind(addr)?;
            }
            None
        }
        (Start::TakeOver(pid), Some(meeting)) => {
            meeting.invite(pid)?;
            Some(Opt { upgrade: true, ..Opt::default() })
        }
        (Start::TakeOver(_), None) => return Err(anyhow!("without a configuration file nothing can be taken over")),
    };
    let mut server = Server::new_with_opt_and_conf(options, server_conf(conf, meeting));
    server.bootstrap();
    if let (Start::TakeOver(_), Some(meeting)) = (start, meeting) {
        meeting.leave();
    }
    Ok(server)
}

fn add_services(server: &mut Server, gateway: &Arc<Gateway>, file: Option<PathBuf>) -> Result<()> {
    let live = gateway.live();
    let control = background_service("control", Control::new(Arc::clone(gateway), file));
    let control = server.add_service(control);
    let data = data_service(gateway, &live.conf, &server.configuration)?;
    // What the first callers ask for should be there when they are let in.
    server.add_service(data).add_dependency(&control);
    let mut admin = Service::new("admin".to_owned(), HttpServer::new_app(Admin::new(Arc::clone(gateway))));
    admin.threads = Some(1);
    admin.add_tcp(&live.conf.admin.listen.to_string());
    server.add_service(admin);
    Ok(())
}

fn server_conf(conf: &Conf, meeting: Option<&Meeting>) -> ServerConf {
    let default = ServerConf::default();
    ServerConf {
        threads: conf.threads,
        // Each data thread keeps its connections and what it spawns to itself.
        work_stealing: false,
        upstream_keepalive_pool_size: 1024,
        max_retries: 2,
        grace_period_seconds: Some(conf.drain.exit.as_secs() + 1),
        graceful_shutdown_timeout_seconds: Some(1),
        upgrade_sock: meeting.map_or(default.upgrade_sock.clone(), Meeting::socket),
        ..default
    }
}

fn data_service(gateway: &Arc<Gateway>, conf: &Conf, server_conf: &Arc<ServerConf>) -> Result<Service<Listener>> {
    let mut proxy = pingora_proxy::http_proxy(server_conf, Proxy::new(Arc::clone(gateway)));
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(conf.limits.idle_timeout);
    proxy.server_options = Some(options);
    let mut service = Service::new("data".to_owned(), Listener::new(gateway, proxy, conf.limits.head_timeout));
    // Pingora's default of 64 KiB a connection is more than a whole stream should cost. Who reads brings a
    // buffer of its own, and so do we when we write; Pingora's own way to an application makes one write of a
    // head and a short body with it.
    let write = if conf.passthrough.is_some() { 4 * 1024 } else { 0 };
    let buffers = L4BufferSettings { read: Some(0), write: Some(write) };
    let mut listener = ListenerConfig::tcp(conf.listen.addr.to_string()).l4_buffer(buffers);
    if let Some(tls) = &conf.listen.tls {
        listener = listener.tls(tls_settings(tls)?);
    }
    service.add_listener(listener);
    Ok(service)
}

fn tls_settings(tls: &Tls) -> Result<TlsSettings> {
    let text = |path: &PathBuf| path.to_str().map(str::to_owned).ok_or_else(|| anyhow!("{path:?} is not UTF-8"));
    let mut settings = TlsSettings::intermediate(&text(&tls.cert)?, &text(&tls.key)?)
        .map_err(|error| anyhow!("listen.tls: certificate or key cannot be used: {error}"))?;
    settings.enable_h2();
    Ok(settings)
}

/// A panic ends one exchange, not the process; it must be seen all the same.
fn count_panics(gateway: &Arc<Gateway>) {
    let (gateway, before) = (Arc::clone(gateway), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        gateway.metrics.panics.inc();
        before(panic);
    }));
}

/// Pingora panics where it cannot bind; this says why before.
fn check_bind(addr: SocketAddr) -> Result<()> {
    TcpListener::bind(addr).map(drop).with_context(|| format!("cannot listen on {addr}"))
}

/// Our own events and warnings of the libraries, on standard error; `RUST_LOG` overrides.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(
            "info,pingora_core=off,pingora_core::server::bootstrap_services=error,pingora_pool=off,pingora_proxy=off,pingora_load_balancing=off,hickory_resolver=error,hickory_proto=error",
        )
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // Whoever read it may be gone; that must not become a panic of the writer.
        .log_internal_errors(false);
    if subscriber.try_init().is_err() {
        eprintln!("a log is set up already");
    }
}
