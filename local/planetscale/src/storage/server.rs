//! Databases of a MySQL or MariaDB server.

use std::collections::{BTreeMap, BTreeSet};

use mysql::prelude::Queryable;
use mysql::{Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, PooledConn};
use thiserror::Error;

use super::{BranchId, Connection, Purpose, Storage, StorageError};
use crate::schema::{Dialect, Schema, SchemaError, quoted};

mod kept;

/// MySQL's collations that MariaDB has under other names, the closest first.
const COLLATIONS: [(&str, &[&str]); 3] = [
    ("utf8mb4_0900_ai_ci", &["utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_unicode_520_nopad_ci"]),
    ("utf8mb4_0900_as_ci", &["utf8mb4_uca1400_nopad_as_ci"]),
    ("utf8mb4_0900_as_cs", &["utf8mb4_uca1400_nopad_as_cs"]),
];

/// What every session of the emulator is set to: tables come in any order whatever their foreign keys, as in a deploy
/// request; a lock is not waited for until a client gives up.
const SESSION: &str = "SET SESSION foreign_key_checks = 0, lock_wait_timeout = 10, innodb_lock_wait_timeout = 10, \
    sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'";

const ROW_PRIVILEGES: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES, LOCK TABLES";
const DDL_PRIVILEGES: &str = "CREATE, ALTER, DROP, INDEX, REFERENCES";

/// `ER_NO_SUCH_TABLE`.
const NO_SUCH_TABLE: u16 = 1146;

/// A MySQL or MariaDB server with one database for each branch.
///
/// The databases and users it made are removed when it is dropped.
pub struct DatabaseServer {
    pool: Pool,
    /// `host:port`.
    address: String,
    dialect: Dialect,
    branches: BTreeMap<BranchId, Branch>,
}

/// A branch's part of the server.
struct Branch {
    database: String,
    user: Option<User>,
    allows_ddl: bool,
    /// The deploy requests whose rows and values are kept.
    kept: BTreeSet<u64>,
}

struct User {
    name: String,
    password: String,
}

/// Why a database server cannot be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It is not a URL of a server.
    #[error("--database-server is not of the form mysql://user:password@host:port: {0}")]
    Url(String),
    /// It cannot be reached, or refuses.
    #[error("the database server at {address} cannot be used: {message}")]
    Server { address: String, message: String },
}

impl DatabaseServer {
    /// Connects to a server as an administrator: one who may create databases and users.
    ///
    /// # Errors
    /// When the URL cannot be read, or the server cannot be reached.
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        let opts = Opts::from_url(url).map_err(|error| ConnectError::Url(error.to_string()))?;
        let address = format!("{}:{}", opts.get_ip_or_hostname(), opts.get_tcp_port());
        let failed = |error: mysql::Error| ConnectError::Server {
            address: address.clone(),
            message: error.to_string(),
        };
        let pool_opts = PoolOpts::default()
            .with_constraints(PoolConstraints::new_const::<1, 2>())
            .with_reset_connection(false);
        let opts = OptsBuilder::from_opts(opts).pool_opts(pool_opts).prefer_socket(false).init(vec![SESSION]);
        let pool = Pool::new(opts).map_err(failed)?;
        let mut connection = pool.get_conn().map_err(failed)?;
        let version: Option<String> = connection.query_first("SELECT VERSION()").map_err(failed)?;
        let dialect = Dialect::new(&version.unwrap_or_default(), collations(&mut connection));
        drop(connection);
        Ok(Self { pool, address: address.clone(), dialect, branches: BTreeMap::new() })
    }

    fn session(&self) -> Result<PooledConn, StorageError> {
        Ok(self.pool.get_conn()?)
    }

    fn branch(&self, branch: &BranchId) -> Result<&Branch, StorageError> {
        self.branches.get(branch).ok_or_else(|| StorageError::UnknownBranch(branch.clone()))
    }

    fn branch_mut(&mut self, branch: &BranchId) -> Result<&mut Branch, StorageError> {
        self.branches.get_mut(branch).ok_or_else(|| StorageError::UnknownBranch(branch.clone()))
    }

    fn schema(&self, connection: &mut PooledConn, database: &str) -> Result<Schema, StorageError> {
        Ok(Schema::from_tables(self.tables_of(connection, database)?)?)
    }

    fn tables_of(&self, connection: &mut PooledConn, database: &str) -> Result<Vec<String>, StorageError> {
        let names: Vec<(String, String)> = connection
            .query(format!("SHOW FULL TABLES FROM {} WHERE Table_type = 'BASE TABLE'", quoted(database)))?;
        let mut tables = Vec::new();
        for (name, _) in names {
            let show = format!("SHOW CREATE TABLE {}.{}", quoted(database), quoted(&name));
            match connection.query_first::<(String, String), _>(show).map_err(StorageError::from) {
                Ok(shown) => {
                    let text = shown.map(|(_, text)| text).unwrap_or_default();
                    tables.push(self.dialect.to_mysql(&text)?);
                }
                // Another client dropped it meanwhile.
                Err(StorageError::Statement(SchemaError { number: NO_SUCH_TABLE, .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(tables)
    }

    /// Executes a statement of MySQL in a database.
    fn run(&self, connection: &mut PooledConn, database: &str, statement: &str) -> Result<(), StorageError> {
        connection.query_drop(format!("USE {}", quoted(database)))?;
        Ok(connection.query_drop(self.dialect.from_mysql(statement)?)?)
    }
}

impl Storage for DatabaseServer {
    fn create(&mut self, branch: &BranchId, label: &str) -> Result<(), StorageError> {
        let database = database_name(branch, label);
        let collation = self.dialect.collation(COLLATIONS[0].0);
        self.session()?.query_drop(format!(
            "CREATE DATABASE {} CHARACTER SET utf8mb4 COLLATE {collation}",
            quoted(&database)
        ))?;
        let new = Branch { database, user: None, allows_ddl: false, kept: BTreeSet::new() };
        self.branches.insert(branch.clone(), new);
        Ok(())
    }

    fn remove(&mut self, branch: &BranchId) -> Result<(), StorageError> {
        let mut connection = self.session()?;
        let Branch { database, user, kept, .. } = self.branch(branch)?;
        for number in kept {
            kept::drop_database(&mut connection, &kept::database_name(database, *number))?;
        }
        if let Some(user) = user {
            connection.query_drop(format!("DROP USER IF EXISTS {}", user.account()))?;
        }
        kept::drop_database(&mut connection, database)?;
        self.branches.remove(branch);
        Ok(())
    }

    fn tables(&self, branch: &BranchId) -> Result<Vec<String>, StorageError> {
        self.tables_of(&mut self.session()?, &self.branch(branch)?.database)
    }

    fn execute(
        &mut self,
        branch: &BranchId,
        statements: &[String],
        purpose: Purpose,
    ) -> Result<(), StorageError> {
        let database = self.branch(branch)?.database.clone();
        self.change(&database, statements, purpose)?;
        let kept = &mut self.branch_mut(branch)?.kept;
        match purpose {
            Purpose::Sql => {}
            Purpose::Deploy(number) => {
                kept.insert(number);
            }
            Purpose::Revert(number) => self.forget(branch, number)?,
        }
        Ok(())
    }

    fn forget(&mut self, branch: &BranchId, deploy_request: u64) -> Result<(), StorageError> {
        let Branch { database, kept, .. } = self.branch_mut(branch)?;
        if kept.remove(&deploy_request) {
            let database = kept::database_name(database, deploy_request);
            kept::drop_database(&mut self.session()?, &database)?;
        }
        Ok(())
    }

    fn allow_ddl(&mut self, branch: &BranchId, allowed: bool) -> Result<(), StorageError> {
        let Branch { database, user, allows_ddl, .. } = self.branch(branch)?;
        if *allows_ddl == allowed {
            return Ok(());
        }
        if let Some(user) = user {
            let (database, account) = (pattern(database), user.account());
            self.session()?.query_drop(if allowed {
                format!("GRANT {DDL_PRIVILEGES} ON {database}.* TO {account}")
            } else {
                format!("REVOKE {DDL_PRIVILEGES} ON {database}.* FROM {account}")
            })?;
        }
        self.branch_mut(branch)?.allows_ddl = allowed;
        Ok(())
    }

    fn connection(&mut self, branch: &BranchId) -> Result<Option<Connection>, StorageError> {
        let Branch { database, user, allows_ddl, .. } = self.branch(branch)?;
        let database = database.clone();
        let user = match user {
            Some(user) => User { name: user.name.clone(), password: user.password.clone() },
            None => {
                let user = User { name: random(20)?, password: random(40)? };
                let mut connection = self.session()?;
                let account = user.account();
                connection.query_drop(format!("CREATE USER {account} IDENTIFIED BY '{}'", user.password))?;
                let ddl = if *allows_ddl { format!(", {DDL_PRIVILEGES}") } else { String::new() };
                let database = pattern(&database);
                connection.query_drop(format!("GRANT {ROW_PRIVILEGES}{ddl} ON {database}.* TO {account}"))?;
                user
            }
        };
        let (address, User { name, password }) = (&self.address, &user);
        let connection = Connection {
            access_host_url: address.clone(),
            username: name.clone(),
            plain_text: password.clone(),
            url: format!("mysql://{name}:{password}@{address}/{database}"),
            dsn: format!("{name}:{password}@tcp({address})/{database}"),
            database,
        };
        self.branch_mut(branch)?.user = Some(user);
        Ok(Some(connection))
    }

    fn has_other_clients(&self) -> bool {
        true
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        for branch in self.branches.keys().cloned().collect::<Vec<_>>() {
            // The server may have ended before.
            let _ = self.remove(&branch);
        }
    }
}

impl User {
    fn account(&self) -> String {
        format!("'{}'@'%'", self.name)
    }
}

impl From<mysql::Error> for StorageError {
    fn from(error: mysql::Error) -> Self {
        match error {
            mysql::Error::MySqlError(refused) => SchemaError::new(refused.code, refused.message).into(),
            other => Self::Server(other.to_string()),
        }
    }
}

/// A branch's ID is safe and unique; its label is for people who look at the server.
fn database_name(branch: &BranchId, label: &str) -> String {
    let readable =
        label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    format!("{}_{branch}", readable.take(30).collect::<String>())
}

/// A database's name in a grant, where `_` stands for any character unless it is escaped.
fn pattern(database: &str) -> String {
    quoted(&database.replace('_', "\\_"))
}

fn random(length: usize) -> Result<String, StorageError> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| StorageError::Server(error.to_string()))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

/// What stands for MySQL's collations where the server has not got them under their names.
fn collations(connection: &mut PooledConn) -> Vec<(String, String)> {
    let mut own_name = |name: &str| {
        let asked = connection.query_first(format!("SELECT COLLATION(_utf8mb4'' COLLATE {name})"));
        asked.ok().flatten().map(|own: String| own)
    };
    let mut found = Vec::new();
    for (of_mysql, others) in COLLATIONS {
        let own = std::iter::once(&of_mysql).chain(others).find_map(|name| own_name(name));
        found.extend(own.filter(|own| own != of_mysql).map(|own| (of_mysql.to_owned(), own)));
    }
    found
}
