//! An HTTP/1.1 connection, request after request, where no application is behind the gateway: the same as
//! Pingora's phases do, which have room for the upstream phases and keep it for as long as a stream is open.

use super::caller::Caller;
use super::exchange::Exchange;
use super::http1::{Asked, Line, Over};
use super::{Handled, Proxy, client};
use http::{Method, StatusCode};
use pingora::protocols::Stream;
use std::pin::Pin;
use std::time::Duration;

/// For the first request of a connection; later ones have `limits.idle_timeout`.
const FIRST_AWAITED: Duration = Duration::from_secs(60);

impl Proxy {
    /// Serves a connection until it ends or `closing` does.
    pub(super) async fn serve_connection(
        &self,
        stream: Stream,
        head_timeout: Duration,
        mut closing: Pin<&mut (dyn Future<Output = ()> + Send)>,
    ) {
        let mut line = Line::new(stream);
        let mut idle = FIRST_AWAITED;
        loop {
            let next = tokio::select! {
                // What has come already is served.
                biased;
                next = line.next(idle, head_timeout) => next,
                () = &mut closing => return,
            };
            let goes_on = match next {
                // Boxed: what it works in was just given back by another request, and is in the caches, where a
                // place of its own for each connection would have left them long ago.
                Ok(asked) => Box::pin(self.serve_request(asked)).await,
                Err(Over::Quiet) => false,
                Err(Over::TooLarge) => {
                    line.refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).await;
                    false
                }
                Err(Over::Malformed) => {
                    line.refuse(StatusCode::BAD_REQUEST).await;
                    false
                }
            };
            if !goes_on {
                return line.close().await;
            }
            idle = self.gateway.live().conf.limits.idle_timeout;
        }
    }

    /// Whether another request may follow.
    async fn serve_request(&self, asked: Asked<'_>) -> bool {
        let mut exchange = Exchange::begin(&self.gateway);
        let mut caller = Caller::Own(asked);
        // An application that comes behind the gateway is not to be reached on this connection.
        self.begin(&mut caller, &mut exchange, !self.may_pass());
        let handled = if caller.head().method == Method::CONNECT {
            // Nobody's proxy for whatever one likes (RFC 9110, 9.3.6).
            caller.is_last();
            client::accept(&mut caller, &mut exchange, 405).await
        } else {
            match self.handle(&mut caller, &mut exchange).await {
                // The application has come with this request, and its connection does not lead there.
                Ok(Handled::Pass) => {
                    exchange.outcome = "app_unavailable";
                    caller.is_last();
                    client::accept(&mut caller, &mut exchange, 503).await
                }
                handled => handled.map(drop),
            }
        };
        if handled.is_err() {
            exchange.has_gone();
        }
        exchange.finish(&caller);
        drop(exchange);
        match caller {
            Caller::Own(mut asked) => handled.is_ok() && asked.finish().await,
            Caller::Pingora(_) => false,
        }
    }
}
