//! A MariaDB server in a temporary folder, with nothing of the machine's configuration.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::application::free_address;

pub struct MariaDb {
    folder: TempDir,
    port: u16,
    tls: bool,
    process: Option<Child>,
}

impl MariaDb {
    pub fn start() -> Self {
        Self::new(false)
    }

    /// With a certificate for 127.0.0.1 by an authority of its own.
    pub fn start_with_tls() -> Self {
        Self::new(true)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// Run statements as the server's administrator.
    pub fn sql(&self, database: &str, statements: &str) {
        let mut client = Command::new("mariadb")
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.path("socket").display()))
            .args(["--user=root", database])
            .stdin(Stdio::piped())
            .spawn()
            .expect("mariadb is installed: mariadb-client-core");
        client.stdin.take().expect("it is piped").write_all(statements.as_bytes()).expect("it reads");
        assert!(client.wait().expect("it ends").success(), "{statements}");
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = Command::new("kill").arg(process.id().to_string()).status();
            let _ = process.wait();
        }
    }

    /// On the same port, with the same data.
    pub fn start_again(&mut self) {
        let mut command = self.command("mariadbd");
        command
            .arg("--skip-name-resolve")
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--port={}", self.port));
        command.arg(format!("--socket={}", self.path("socket").display()));
        if self.tls {
            for (option, file) in [("ca", "authority.pem"), ("cert", "server.pem"), ("key", "server.key")] {
                command.arg(format!("--ssl-{option}={}", self.path(file).display()));
            }
        }
        self.process = Some(command.spawn().expect("mariadbd is installed: mariadb-server-core"));
        let deadline = Instant::now() + Duration::from_secs(120);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().expect("its state"));
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{:?}",
                std::fs::read_to_string(self.path("log"))
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn new(tls: bool) -> Self {
        let port = free_address().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let folder = tempfile::Builder::new().prefix("mariadb").tempdir().expect("a temporary folder");
        let mut server = Self { folder, port, tls, process: None };
        if tls {
            certify(server.folder.path());
        }
        let installed =
            server.command("mariadb-install-db").arg("--auth-root-authentication-method=normal").status();
        let installed = installed.expect("mariadb-install-db is installed: mariadb-server-core");
        assert!(installed.success(), "{}", server.log());
        server.start_again();
        server
    }

    fn command(&self, name: &str) -> Command {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        // Servers that start at the same time would take each other's temporary tables away.
        let temporary = self.path("tmp");
        std::fs::create_dir_all(&temporary).expect("a folder");
        let mut command = Command::new(name);
        command.env("TMPDIR", temporary);
        command.arg("--no-defaults").arg(format!("--datadir={}", self.path("data").display()));
        // It refuses to run as root unless told to.
        command.arg(format!("--user={}", user())).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.stop();
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn certify(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let output = output.expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -keyout authority.key -out authority.pem -subj /CN=authority -days 2"));
    openssl(&format!(
        "req -x509 {key} -keyout server.key -out server.pem -subj /CN=server -days 2 -CA authority.pem \
         -CAkey authority.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    ));
}
