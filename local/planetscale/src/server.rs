//! The HTTP server, which can also break off.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

use crate::app::{App, router};
use crate::clock::Clock;
use crate::options::Options;
use crate::settings::Settings;
use crate::storage::{ConnectError, DatabaseServer, Memory, Storage};

/// A running emulator. It ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// Why the emulator cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}. Choose another --listen address, or port 0 for any.")]
    Listen { address: SocketAddr, source: io::Error },
    /// The database server cannot be used.
    #[error(transparent)]
    DatabaseServer(#[from] ConnectError),
}

/// How the connection ends in place of the rest of a response; put into the response's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// It is reset before the first byte.
    Reset,
    /// It is closed in the middle of the body.
    Truncate,
}

impl Server {
    /// Starts an emulator with the options' database server, or else in memory.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the database server cannot be used.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let storage: Box<dyn Storage> = match &options.database_server {
            Some(url) => Box::new(DatabaseServer::connect(url)?),
            None => Box::<Memory>::default(),
        };
        Self::start_with(options, storage).await
    }

    /// Starts an emulator with databases behind its branches.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start_with(options: Options, storage: Box<dyn Storage>) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let app = Arc::new(App::new(options.settings, options.quiet, storage, Clock::default()));
        Ok(Self { address, accepting: tokio::spawn(accept(listener, router(app))) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An emulator in memory that is called in this process, by the time that `time` tells in milliseconds since 1970.
/// Its faults that break a connection off have no effect here.
pub fn in_process(settings: Settings, time: fn() -> i64) -> Router {
    router(Arc::new(App::new(settings, true, Box::<Memory>::default(), Clock::new(time))))
}

async fn accept(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => { connections.spawn(serve(stream, router.clone())); }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let reset = Arc::new(AtomicBool::new(false));
    let asked = reset.clone();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (mut router, reset) = (router.clone(), asked.clone());
        Box::pin(async move {
            let Ok(response) = router.call(request.map(Body::new)).await;
            interrupt(response, &reset).await
        })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that goes away, and an interruption that was asked for, are no errors of the emulator.
    let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let stream = connection.into_parts().io.into_inner();
    if reset.load(Ordering::Relaxed) {
        // Where this fails the connection is closed all the same.
        let _ = stream.set_zero_linger();
    }
}

async fn interrupt(response: Response, reset: &AtomicBool) -> io::Result<Response> {
    let Some(interruption) = response.extensions().get::<Interruption>().copied() else {
        return Ok(response);
    };
    let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
    match interruption {
        Interruption::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err(broken())
        }
        Interruption::Truncate => {
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let half = stream::iter([Ok(body.slice(..body.len() / 2))]);
            let end = stream::once(async move {
                // What was written before leaves the buffers meanwhile.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(broken())
            });
            Ok(Response::from_parts(head, Body::from_stream(half.chain(end))))
        }
    }
}
