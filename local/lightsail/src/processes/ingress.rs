//! The public endpoint of a service: an address on this machine, which leads to the containers that serve.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedRwLockReadGuard;
use tokio::task::{JoinHandle, JoinSet};

use crate::processes::container::Container;
use crate::processes::health::exchange;

/// The headers that concern one connection alone (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] =
    [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The public endpoint of a service. It is closed when this is dropped.
pub struct Ingress {
    address: SocketAddr,
    route: Route,
    accepting: JoinHandle<()>,
}

/// Where requests go; nowhere when no deployment serves.
type Route = Arc<RwLock<Option<Arc<Upstream>>>>;
type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// The containers of one launch, as the public endpoint sees them.
pub struct Upstream {
    port: u16,
    /// None while it is started anew.
    container: RwLock<Option<Arc<Container>>>,
    /// Each request holds it for reading until its answer is complete.
    requests: Arc<tokio::sync::RwLock<()>>,
}

impl Ingress {
    /// Opens an endpoint at any free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> io::Result<Ingress> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let route = Route::default();
        let accepting = tokio::spawn(accept(TcpListener::from_std(listener)?, route.clone()));
        Ok(Ingress { address, route, accepting })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From the next request on, `upstream` answers.
    pub fn lead_to(&self, upstream: Arc<Upstream>) {
        self.route.write().unwrap_or_else(PoisonError::into_inner).replace(upstream);
    }

    /// From the next request on, nobody answers, if it was `upstream` so far.
    pub fn lead_away_from(&self, upstream: &Arc<Upstream>) {
        let mut route = self.route.write().unwrap_or_else(PoisonError::into_inner);
        if route.as_ref().is_some_and(|current| Arc::ptr_eq(current, upstream)) {
            *route = None;
        }
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Upstream {
    pub fn new(container: Arc<Container>, port: u16) -> Self {
        Upstream { port, container: RwLock::new(Some(container)), requests: Arc::default() }
    }

    /// Replaces the container, or leaves none.
    pub fn replace(&self, container: Option<Arc<Container>>) {
        *self.container.write().unwrap_or_else(PoisonError::into_inner) = container;
    }

    /// Waits until all requests are answered, at most that long. New ones are not taken meanwhile.
    pub async fn drain(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.requests.write()).await;
    }

    fn container(&self) -> Option<Arc<Container>> {
        self.container.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, route: Route) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, client)) = listener.accept() => {
                connections.spawn(serve(stream, client, route.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, client: SocketAddr, route: Route) {
    let service = service_fn(move |request| {
        let route = route.clone();
        async move { Ok::<_, Infallible>(answer(request, client, &route).await) }
    });
    // A client that goes away is no error of the emulator.
    let _ =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(mut request: Request<Incoming>, client: SocketAddr, route: &Route) -> Answer {
    let Some((upstream, guard)) = enter(route) else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "The service has no active deployment.\n");
    };
    let Some(container) = upstream.container() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "The containers are being started again.\n");
    };
    remove_hop_by_hop(request.headers_mut());
    add_forwarded(request.headers_mut(), client);
    *request.version_mut() = Version::HTTP_11;
    match exchange(&container, upstream.port, request).await {
        Ok(mut answer) => {
            remove_hop_by_hop(answer.headers_mut());
            // Until the last byte the request counts as one in flight.
            answer.map(|body| body.map_frame(move |frame| hold(frame, &guard)).boxed())
        }
        Err(_) => refusal(StatusCode::BAD_GATEWAY, "The container did not answer.\n"),
    }
}

/// Takes a request on for whoever answers at this moment.
fn enter(route: &Route) -> Option<(Arc<Upstream>, OwnedRwLockReadGuard<()>)> {
    let route = route.read().unwrap_or_else(PoisonError::into_inner);
    let upstream = route.clone()?;
    // Nobody waits for the end of requests before the route leads elsewhere.
    let guard = upstream.requests.clone().try_read_owned().ok()?;
    Some((upstream, guard))
}

fn hold<T, G>(value: T, _guard: &G) -> T {
    value
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn add_forwarded(headers: &mut HeaderMap, client: SocketAddr) {
    let earlier = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
    let all = earlier.map_or(client.ip().to_string(), |earlier| format!("{earlier}, {}", client.ip()));
    if let Ok(value) = HeaderValue::try_from(all) {
        headers.insert(FORWARDED_FOR, value);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
}

fn refusal(status: StatusCode, message: &'static str) -> Answer {
    let body = Full::new(Bytes::from_static(message.as_bytes())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    answer
}
