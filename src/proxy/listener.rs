//! The data listener: who serves a connection.

use super::Proxy;
use super::watched;
use crate::gateway::Gateway;
use crate::server::LINGER;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

pub struct Listener {
    own: Proxy,
    /// For HTTP/2, and where an application is behind the gateway.
    whole: Arc<HttpProxy<Proxy>>,
    head_timeout: Duration,
    closing: watch::Sender<bool>,
}

impl Listener {
    pub fn new(gateway: &Arc<Gateway>, whole: HttpProxy<Proxy>, head_timeout: Duration) -> Listener {
        let own = Proxy::new(Arc::clone(gateway));
        Listener { own, whole: Arc::new(whole), head_timeout, closing: watch::Sender::default() }
    }

    async fn serve(&self, stream: Stream) {
        let mut closed = self.closing.subscribe();
        // Whoever waits for its next request when an application comes would not reach that.
        let closing = async {
            tokio::select! {
                _ = closed.wait_for(|closed| *closed) => {}
                () = self.own.gateway.has_application() => {}
            }
        };
        self.own.serve_connection(stream, self.head_timeout, pin!(closing)).await;
    }
}

#[async_trait]
impl ServerApp for Listener {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // HTTP/2 has frames where HTTP/1.1 has heads; its own limits hold there.
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            return self.whole.process_new(stream, shutdown).await;
        }
        if self.own.may_pass() {
            return self.whole.process_new(watched::watch(stream, self.head_timeout), shutdown).await;
        }
        // A task of its own: Pingora's has room for a handshake as long as the connection is open. It stays
        // on this thread, which steals no work.
        let listener = Arc::clone(self);
        tokio::spawn(async move { listener.serve(stream).await });
        None
    }

    /// Pingora has stopped accepting. Connections that have just been made have brought nothing yet, and
    /// would be dropped now.
    async fn cleanup(&self) {
        sleep(LINGER).await;
        self.closing.send_replace(true);
        self.whole.http_cleanup().await;
    }
}
