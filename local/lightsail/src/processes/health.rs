//! Requests to a container, and what they say of its health.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::processes::container::Container;
use crate::requests::HealthCheckSpec;

/// The health check of a container.
pub struct HealthCheck {
    pub container: Arc<Container>,
    pub port: u16,
    pub spec: HealthCheckSpec,
    /// By what the interval is multiplied.
    pub interval_scale: f64,
}

impl HealthCheck {
    /// Ends as soon as the container was found healthy as often, one time after the other, as it must be.
    pub async fn becomes_healthy(&self) {
        self.repeat(true, self.spec.healthy_threshold).await;
    }

    /// Ends as soon as it was found unhealthy that often, one time after the other.
    pub async fn becomes_unhealthy(&self) {
        self.repeat(false, self.spec.unhealthy_threshold).await;
    }

    async fn repeat(&self, wanted: bool, times: i64) {
        let mut row = 0;
        while row < times {
            row = if self.is_healthy().await == wanted { row + 1 } else { 0 };
            if row < times {
                tokio::time::sleep(self.interval()).await;
            }
        }
    }

    /// The time between two checks.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.spec.interval_seconds.unsigned_abs()).mul_f64(self.interval_scale)
    }

    async fn is_healthy(&self) -> bool {
        let request = Request::get(&self.spec.path)
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("user-agent", "lightsail-emulator health check")
            .body(Empty::<Bytes>::new());
        let Ok(request) = request else { return false };
        let timeout = Duration::from_secs(self.spec.timeout_seconds.unsigned_abs());
        match tokio::time::timeout(timeout, exchange(&self.container, self.port, request)).await {
            Ok(Ok(answer)) => is_success(&self.spec.success_codes, answer.status()),
            _ => false,
        }
    }
}

/// Sends one request to a container, over a connection of its own.
pub async fn exchange<B>(
    container: &Container,
    port: u16,
    request: Request<B>,
) -> io::Result<Response<Incoming>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let stream = container.connect(port).await?;
    let (mut sender, connection) =
        http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(io::Error::other)
}

/// Whether a status is among codes such as `200,202` or `200-299`.
fn is_success(codes: &str, status: StatusCode) -> bool {
    let code = |text: &str| text.parse::<u16>().ok();
    codes.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((code(first), code(last)), (Some(first), Some(last)) if (first..=last).contains(&status.as_u16()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_code_is_one_of_a_list_of_codes_and_ranges() {
        for (codes, status, expected) in [
            ("200", StatusCode::OK, true),
            ("200", StatusCode::NOT_FOUND, false),
            ("200-499", StatusCode::NOT_FOUND, true),
            ("200-499", StatusCode::INTERNAL_SERVER_ERROR, false),
            ("200,204", StatusCode::NO_CONTENT, true),
            ("200,204", StatusCode::CREATED, false),
        ] {
            assert_eq!(is_success(codes, status), expected, "{codes} {status}");
        }
    }
}
