//! An HTTP/1.1 connection, request after request: Pingora's phases as far as they go where no application
//! is behind the gateway. Pingora's own way through them has room for its upstream phases, which moves
//! 27 KiB with each request, and keeps them for as long as a stream is open.

use super::exchange::Exchange;
use super::{Handled, Proxy};
use http::Method;
use once_cell::sync::Lazy;
use pingora::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora::modules::http::HttpModules;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType};
use pingora_proxy::Session;
use std::pin::Pin;

/// For the first request of a connection; later ones have `limits.idle_timeout`.
const FIRST_KEEP_ALIVE_SECONDS: u64 = 60;

static NO_MODULES: Lazy<HttpModules> = Lazy::new(HttpModules::new);

/// Whether a connection goes on.
enum Next {
    Request(Box<Session>),
    /// Between two requests; an application came behind the gateway meanwhile.
    Elsewhere(ReusedHttpStream),
    Over,
}

impl Proxy {
    /// Serves a connection until it ends or `closing` does; gives it back where Pass may come.
    pub(super) async fn serve_connection(
        &self,
        stream: Stream,
        shutdown: &ShutdownWatch,
        mut closing: Pin<&mut (dyn Future<Output = ()> + Send)>,
    ) -> Option<ReusedHttpStream> {
        let mut session = Box::new(Session::new_h1_with_modules(stream, &NO_MODULES));
        session.set_keepalive((!*shutdown.borrow()).then_some(FIRST_KEEP_ALIVE_SECONDS));
        loop {
            let read = tokio::select! {
                // What has come already is served.
                biased;
                read = session.downstream_session.read_request() => read,
                () = &mut closing => return None,
            };
            match read {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    refuse(&mut session, &error).await;
                    return None;
                }
            }
            if *shutdown.borrow() {
                session.set_keepalive(None);
            }
            match self.serve_request(session).await {
                Next::Request(next) => session = next,
                Next::Elsewhere(stream) => return Some(stream),
                Next::Over => return None,
            }
        }
    }

    async fn serve_request(&self, mut session: Box<Session>) -> Next {
        let mut exchange = Exchange::begin(&self.gateway);
        self.begin(&mut session);
        // Nobody's proxy for whatever one likes (RFC 9110, 9.3.6).
        if session.req_header().method == Method::CONNECT {
            let _ = session.respond_error(405).await;
            return Next::Over;
        }
        let handled = self.handle(&mut session, &mut exchange).await;
        if matches!(handled, Ok(Handled::Pass)) {
            // The application has come with this request, and its connection does not lead there.
            exchange.outcome = "app_unavailable";
            session.set_keepalive(None);
            let _ = session.respond_error(503).await;
        }
        self.end(&session, &mut exchange);
        drop(exchange);
        match handled {
            Ok(_) => self.reuse(session).await,
            Err(_) => Next::Over,
        }
    }

    async fn reuse(&self, session: Box<Session>) -> Next {
        let settings = HttpPersistentSettings::for_session(&session);
        let Ok(Some(reusable)) = session.downstream_session.finish().await else {
            return Next::Over;
        };
        let stream = ReusedHttpStream::from_reusable_stream(reusable, settings);
        if self.may_pass() {
            return Next::Elsewhere(stream);
        }
        let (stream, settings) = stream.consume();
        let mut next = Box::new(Session::new_h1_with_modules(stream, &NO_MODULES));
        if let Some(settings) = settings {
            settings.apply_to_session(&mut next);
        }
        Next::Request(next)
    }
}

/// A head that is none gets its answer; who has gone gets nothing.
async fn refuse(session: &mut Session, error: &Error) {
    if matches!(error.etype(), ErrorType::InvalidHTTPHeader) {
        let _ = session.respond_error(400).await;
    }
    session.downstream_session.shutdown().await;
}
