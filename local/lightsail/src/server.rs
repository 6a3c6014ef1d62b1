//! The HTTP server, which can also break off.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

use crate::emulator::Emulator;
use crate::http_client::{Answers, HttpClient};
use crate::options::Options;
use crate::runtime::Runtime;
use crate::{clock, control, protocol};

/// A running emulator. It ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    emulator: Arc<Emulator>,
    accepting: JoinHandle<()>,
}

/// Why the emulator cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}. Choose another --listen address, or port 0 for any.")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{0}.")]
    Runtime(String),
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
    /// Starts an emulator whose containers run as the options say.
    ///
    /// # Errors
    /// When the address cannot be listened on, or containers cannot be started.
    pub async fn start(options: Options) -> Result<Server, StartError> {
        Self::start_with(options, None).await
    }

    /// Starts an emulator whose containers run in `runtime`, if there is one.
    ///
    /// # Errors
    /// When the address cannot be listened on, or containers cannot be started.
    pub async fn start_with(
        options: Options,
        runtime: Option<Arc<dyn Runtime>>,
    ) -> Result<Server, StartError> {
        let failed = |source| StartError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let emulator = Emulator::new(&options, runtime, HttpClient::new()).await;
        let emulator = Arc::new(emulator.map_err(StartError::Runtime)?);
        let accepting = tokio::spawn(accept(listener, router(emulator.clone())));
        Ok(Server { address, emulator, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, and whatever its runtime still runs.
    pub async fn stop(self) {
        let launches: Vec<u64> =
            self.emulator.world().services.values().flat_map(|service| service.launches()).collect();
        join_all(launches.into_iter().map(|launch| self.emulator.runtime.stop(launch))).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        for service in self.emulator.world().services.values_mut() {
            service.abort_tasks();
        }
    }
}

/// An emulator that is called in this process, whose images `ecr` knows; it goes by the time that
/// [`clock::set_for_this_thread`] sets. Its faults that break a connection off have no effect here.
///
/// # Errors
/// What is missing for the runtime that the options name.
pub async fn in_process(options: &Options, ecr: Answers) -> Result<Router, String> {
    Ok(router(Arc::new(Emulator::new(options, None, HttpClient::InProcess(ecr)).await?)))
}

fn router(emulator: Arc<Emulator>) -> Router {
    Router::new().route("/", post(protocol::answer)).nest("/_control", control::router()).with_state(emulator)
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
    let stream = Connection { stream, reset: reset.clone() };
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (mut router, reset) = (router.clone(), reset.clone());
        async move {
            let Ok(response) = router.call(request.map(Body::new)).await;
            interrupt(response, &reset).await
        }
    });
    // A client that goes away, and an interruption that was asked for, are no errors of the emulator.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
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
            let body: Bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let half = stream::iter([Ok(body.slice(..body.len() / 2))]);
            let end = stream::once(async move {
                // What was written before leaves the buffers meanwhile.
                clock::sleep(20).await;
                Err(broken())
            });
            Ok(Response::from_parts(head, Body::from_stream(half.chain(end))))
        }
    }
}

/// A connection that can be closed with a reset.
struct Connection {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Where this fails the connection is closed all the same.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
