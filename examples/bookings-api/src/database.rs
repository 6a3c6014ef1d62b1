//! The hotels in the database.

use std::error::Error;
use std::io;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{
    DriverError, IoError, OptsBuilder, Pool, PoolConstraints, PoolOpts, Row, ServerError, SslOpts,
};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::dsn::{Address, Dsn, Tls};

/// More would only wait for each other on a container of the smallest size.
const CONNECTIONS: usize = 10;
/// To connect and to get an answer. The driver itself would wait for as long as the system does.
const PATIENCE: Duration = Duration::from_secs(5);

/// A row of `hotels`.
#[derive(Debug, PartialEq, Serialize)]
pub struct Hotel {
    pub id: u32,
    pub name: String,
    pub address: String,
    pub stars: Option<f32>,
    /// Not there where the column is not there, and null where it has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
}

/// A pool of connections. Nothing is connected before the first question.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
}

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(transparent)]
    Driver(#[from] mysql_async::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("the table hotels has no column {0}, or it is of another type than this application reads")]
    Column(&'static str),
}

/// The database was reached, and refuses this connection string for good.
#[derive(Debug, PartialEq)]
pub struct Refused(pub &'static str);

impl Database {
    pub fn new(dsn: Dsn) -> Self {
        Self { pool: Pool::new(options(dsn)) }
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        within(async { Ok(self.pool.get_conn().await?.ping().await?) }).await
    }

    /// All hotels.
    ///
    /// Every column is asked for and each is read by its name, so that the same application reads
    /// the table before and after a column was added. The text protocol describes the columns with
    /// each answer; a prepared statement would know those of the time it was prepared.
    pub async fn hotels(&self) -> Result<Vec<Hotel>, DatabaseError> {
        let rows: Vec<Row> = within(async {
            let mut connection = self.pool.get_conn().await?;
            Ok(connection.query("SELECT * FROM hotels ORDER BY id").await?)
        })
        .await?;
        rows.into_iter().map(Hotel::from_row).collect()
    }

    /// Close the connections in good order.
    pub async fn disconnect(self) {
        let _ = tokio::time::timeout(PATIENCE, self.pool.disconnect()).await;
    }
}

impl Hotel {
    fn from_row(mut row: Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: column(&mut row, "id")?.ok_or(DatabaseError::Column("id"))?,
            name: column(&mut row, "name")?.ok_or(DatabaseError::Column("name"))?,
            address: column(&mut row, "address")?.ok_or(DatabaseError::Column("address"))?,
            stars: column(&mut row, "stars")?.ok_or(DatabaseError::Column("stars"))?,
            description: column(&mut row, "description")?,
        })
    }
}

/// The value of a column, or nothing if there is no such column.
fn column<T: mysql_async::prelude::FromValue>(
    row: &mut Row,
    name: &'static str,
) -> Result<Option<T>, DatabaseError> {
    row.take_opt(name).transpose().map_err(|_| DatabaseError::Column(name))
}

impl DatabaseError {
    /// Why the database refuses, if it does so for good. Everything else may be over in a moment.
    pub fn refused(&self) -> Option<Refused> {
        let Self::Driver(error) = self else { return None };
        match error {
            // Access denied: to the database, with this password, by this way of logging in.
            mysql_async::Error::Server(ServerError { code: 1044 | 1045 | 1698, .. }) => {
                Some(Refused("the database does not take this user and password"))
            }
            mysql_async::Error::Server(ServerError { code: 1049, .. }) => {
                Some(Refused("there is no such database"))
            }
            mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => {
                Some(Refused("TLS is asked for, which this server does not have"))
            }
            mysql_async::Error::Io(IoError::Io(error)) if is_bad_certificate(error) => {
                Some(Refused("the server's certificate is not to be trusted"))
            }
            _ => None,
        }
    }

    /// Whether the database is away, and not the question wrong.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Late => true,
            Self::Driver(mysql_async::Error::Server(_)) | Self::Column(_) => false,
            Self::Driver(_) => true,
        }
    }
}

fn is_bad_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| (inner as &(dyn Error + 'static)).downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

async fn within<T>(work: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(DatabaseError::Late))
}

fn options(dsn: Dsn) -> OptsBuilder {
    let constraints = PoolConstraints::new(0, CONNECTIONS).expect("0 is less than the most");
    let pool = PoolOpts::default().with_constraints(constraints);
    let options = match dsn.address {
        Address::Tcp { host, port } => OptsBuilder::default().ip_or_hostname(host).tcp_port(port),
        Address::Unix(path) => OptsBuilder::default().socket(Some(path.to_string_lossy())),
    };
    options
        .user(Some(dsn.user))
        .pass(Some(dsn.password.expose_secret()))
        .db_name(Some(dsn.database))
        .ssl_opts(tls_options(dsn.tls))
        // Else a server on this machine would be asked for its socket, and talked to around TLS.
        .prefer_socket(false)
        .pool_opts(pool)
}

fn tls_options(tls: Tls) -> Option<SslOpts> {
    match tls {
        Tls::Off => None,
        Tls::Unverified => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        Tls::Verified { authorities: None } => Some(SslOpts::default()),
        Tls::Verified { authorities: Some(pem) } => {
            Some(SslOpts::default().with_root_certs(vec![pem.into()]).with_disable_built_in_roots(true))
        }
    }
}
