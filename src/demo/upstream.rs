//! The two MCP servers behind the demonstration's gateway, made with the official SDK (rmcp): the same
//! tools, once in the modern era alone and once in the legacy era alone. The SDK itself refuses the other.

use super::tools::Tools;
use http::{Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::model::ProtocolVersion;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// 2026-07-28: every request stands alone.
    Modern,
    /// Up to 2025-11-25: `initialize` and sessions.
    Legacy,
}

impl Era {
    pub(super) fn named(name: &str) -> Option<Era> {
        match name {
            "modern" => Some(Era::Modern),
            "legacy" => Some(Era::Legacy),
            _ => None,
        }
    }

    /// The server's id in the gateway's configuration, and so the prefix of its tools.
    pub(super) fn server_id(self) -> &'static str {
        match self {
            Era::Modern => "tools-2026",
            Era::Legacy => "tools-2025",
        }
    }

    pub(super) fn versions(self) -> &'static [ProtocolVersion] {
        match self {
            Era::Modern => &[ProtocolVersion::V_2026_07_28],
            Era::Legacy => ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25),
        }
    }
}

/// Serves on a thread of its own, so that nothing the servers do shares the gateway's threads.
pub(super) fn spawn(servers: Vec<(Era, TcpListener)>) -> anyhow::Result<()> {
    thread::Builder::new().name("demo servers".to_owned()).spawn(move || {
        if let Err(error) = serve(servers) {
            eprintln!("the demonstration's MCP servers ended: {error:#}");
        }
    })?;
    Ok(())
}

pub(super) fn serve(servers: Vec<(Era, TcpListener)>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut accepting = tokio::task::JoinSet::new();
        for (era, listener) in servers {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            match era {
                Era::Modern => accepting.spawn(accept(listener, modern())),
                Era::Legacy => accepting.spawn(accept(listener, legacy())),
            };
        }
        accepting.join_all().await;
        Ok(())
    })
}

fn modern() -> StreamableHttpService<Tools, NeverSessionManager> {
    let conf = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_stateless_protocol_metadata_required(true)
        .with_json_response(true);
    StreamableHttpService::new(|| Ok(Tools::new(Era::Modern)), Default::default(), conf)
}

fn legacy() -> StreamableHttpService<Tools, LocalSessionManager> {
    let conf = StreamableHttpServerConfig::default().with_legacy_session_mode(true);
    StreamableHttpService::new(|| Ok(Tools::new(Era::Legacy)), Default::default(), conf)
}

async fn accept<M: SessionManager>(listener: tokio::net::TcpListener, mcp: StreamableHttpService<Tools, M>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            // Out of file descriptors, mostly: it passes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Events of a stream must not wait for one another.
        let _ = connection.set_nodelay(true);
        let mcp = mcp.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request: http::Request<Incoming>| async {
                Ok::<_, std::convert::Infallible>(match request.uri().path() {
                    "/mcp" => mcp.handle(request).await.map(Either::Left),
                    _ => not_found().map(Either::Right),
                })
            });
            // A client that goes away ends its calls with it: hyper drops them, and rmcp cancels.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), answer).await;
        });
    }
}

fn not_found() -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
