//! The application as a process, against a real MariaDB that each test starts for itself.
//!
//! Not run by plain `cargo test`, because they need a server: Debian's packages `mariadb-server-core`
//! and `mariadb-client-core`, and openssl. Run them with `cargo test -- --include-ignored`.

mod application;
mod mariadb;

use serde_json::{Value, json};

use application::Application;
use mariadb::MariaDb;

const SCHEMA: &str = include_str!("../schema.sql");
const SEED: &str = include_str!("../seed.sql");
const WELCOME: &str = "Welcome to the Hotel California, such a lovely place (such a lovely place)";

fn seeded() -> MariaDb {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE bookings_api");
    server.sql("bookings_api", &format!("{SCHEMA}{SEED}"));
    server.sql("", "CREATE USER app@'%' IDENTIFIED BY 'p@ss/w:rd'; GRANT ALL ON bookings_api.* TO app@'%'");
    server
}

fn url(server: &MariaDb, parameters: &str) -> String {
    format!("mysql://app:p%40ss%2Fw%3Ard@127.0.0.1:{}/bookings_api{parameters}", server.port())
}

#[test]
#[ignore = "needs MariaDB"]
fn one_process_serves_the_hotels_before_and_after_the_column_is_added() {
    let server = seeded();
    let go_form = format!("app:p@ss/w:rd@tcp(127.0.0.1:{})/bookings_api?parseTime=true", server.port());
    for dsn in [url(&server, ""), go_form] {
        let application = Application::start(&dsn);
        assert_eq!(application.text("/"), (200, "welcome".to_owned()));
        assert_eq!(application.get("/health"), (200, json!({ "database": "up" })));
        let before = json!([
            {"id": 1, "name": "Hotel California", "address": "1967 Can Never Leave Ln, San Fancisco CA, 94016", "stars": 3.8},
            {"id": 2, "name": "The Galt House", "address": "140 N Fourth St, Louisville, KY 40202", "stars": 4.0},
        ]);
        assert_eq!(rounded(application.get("/hotels")), (200, before.clone()));

        server.sql("bookings_api", "ALTER TABLE hotels ADD description VARCHAR(400)");
        server.sql("bookings_api", &format!("UPDATE hotels SET description = '{WELCOME}' WHERE id = 1"));

        let mut after = before;
        after[0]["description"] = json!(WELCOME);
        after[1]["description"] = Value::Null;
        assert_eq!(rounded(application.get("/hotels")), (200, after));

        server.sql("bookings_api", "ALTER TABLE hotels DROP description");
        assert_eq!(application.get("/hotels").1[0].get("description"), None);
    }
}

#[test]
#[ignore = "needs MariaDB"]
fn a_database_that_goes_away_is_told_by_health_and_comes_back_without_a_restart() {
    let mut server = seeded();
    let application = Application::start(&url(&server, ""));
    assert_eq!(application.get("/hotels").0, 200);

    server.stop();
    assert_eq!(application.get("/health"), (503, json!({ "database": "down" })));
    assert_eq!(application.get("/hotels"), (503, json!({ "error": "the database does not answer" })));
    assert_eq!(application.text("/"), (200, "welcome".to_owned()));

    server.start_again();
    assert_eq!(application.get("/health"), (200, json!({ "database": "up" })));
    assert_eq!(application.get("/hotels").0, 200);
}

#[test]
#[ignore = "needs MariaDB"]
fn a_database_that_is_away_at_the_start_is_waited_for() {
    let mut server = seeded();
    server.stop();
    let application = Application::start(&url(&server, ""));
    assert_eq!(application.get("/health").0, 503);
    server.start_again();
    assert_eq!(application.get("/hotels").0, 200);
}

#[test]
#[ignore = "needs MariaDB"]
fn a_table_without_a_needed_column_is_an_error_that_the_log_explains() {
    let server = seeded();
    server.sql("bookings_api", "ALTER TABLE hotels DROP stars");
    let application = Application::start(&url(&server, ""));
    assert_eq!(application.get("/hotels"), (500, json!({ "error": "the hotels could not be read" })));
    let (_, log) = application.stop();
    assert!(log.contains("the table hotels has no column stars"), "{log}");
}

#[test]
#[ignore = "needs MariaDB"]
fn a_connection_string_that_the_database_refuses_ends_the_process_with_the_reason() {
    let server = seeded();
    let port = server.port();
    for (dsn, reason) in [
        (
            format!("mysql://app:wrong-hunter2@127.0.0.1:{port}/bookings_api"),
            "does not take this user and password",
        ),
        (
            format!("mysql://nobody:hunter2@127.0.0.1:{port}/bookings_api"),
            "does not take this user and password",
        ),
        (url(&server, "?sslaccept=strict"), "TLS is asked for, which this server does not have"),
    ] {
        let (status, log) = Application::run_to_its_end(&dsn);
        assert_eq!(status, Some(1), "{log}");
        assert!(log.contains(reason), "{log}");
        assert!(!log.contains("hunter2") && !log.contains("p%40ss"), "{log}");
    }
    server.sql("", "GRANT ALL ON *.* TO app@'%'");
    let (status, log) = Application::run_to_its_end(&url(&server, "").replace("bookings_api", "no_such"));
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("there is no such database"), "{log}");
}

#[test]
#[ignore = "needs MariaDB"]
fn tls_is_verified_when_it_is_asked_for() {
    let server = MariaDb::start_with_tls();
    server.sql("", "CREATE DATABASE bookings_api");
    server.sql("bookings_api", &format!("{SCHEMA}{SEED}"));
    server.sql("", "CREATE USER app@'%' IDENTIFIED BY 'p@ss/w:rd' REQUIRE SSL; GRANT ALL ON *.* TO app@'%'");
    let authority = server.authority().display().to_string();
    let go_form = |parameters: &str| {
        format!("app:p@ss/w:rd@tcp(127.0.0.1:{})/bookings_api?{parameters}", server.port())
    };

    for refused in
        [url(&server, "?sslaccept=strict"), url(&server, "?sslmode=verify_ca"), go_form("tls=true")]
    {
        let (status, log) = Application::run_to_its_end(&refused);
        assert_eq!(status, Some(1), "{log}");
        assert!(log.contains("certificate is not to be trusted"), "{log}");
    }
    // The user needs TLS, so that an answer proves it.
    let (_, log) = Application::run_to_its_end(&url(&server, ""));
    assert!(log.contains("does not take this user and password"), "{log}");
    let encoded = authority.replace('/', "%2F");
    for accepted in [
        url(&server, &format!("?sslaccept=strict&sslcert={authority}")),
        url(&server, &format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={authority}")),
        go_form(&format!("tls=true&sslca={encoded}")),
        go_form("tls=skip-verify"),
    ] {
        let application = Application::start(&accepted);
        assert_eq!(application.get("/hotels").0, 200, "{accepted}");
    }
    // The certificate is for 127.0.0.1, not for this name.
    let other_name = url(&server, &format!("?tls=true&sslca={authority}")).replace("127.0.0.1", "localhost");
    let (_, log) = Application::run_to_its_end(&other_name);
    assert!(log.contains("certificate is not to be trusted"), "{log}");
}

#[test]
fn bad_configuration_ends_the_process_and_says_which_variable_is_wrong() {
    let (status, log) = Application::run_to_its_end("mysql://app:hunter2@h/d?sslmod=verify_identity");
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("DSN: this application does not know the parameter sslmod"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn sigterm_ends_the_process_in_good_order_and_every_log_line_is_json() {
    // Nothing listens on port 1.
    let application = Application::start("mysql://app:hunter2@127.0.0.1:1/d");
    assert_eq!(application.text("/").0, 200);
    let (status, log) = application.stop();
    assert_eq!(status, Some(0), "{log}");
    for line in log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert!(log.contains("\"message\":\"stopped\""), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

/// 3.8 is not exact in a `FLOAT`.
fn rounded((status, mut hotels): (u16, Value)) -> (u16, Value) {
    for hotel in hotels.as_array_mut().into_iter().flatten() {
        let stars = hotel["stars"].as_f64().expect("stars are a number");
        hotel["stars"] = json!((stars * 10.0).round() / 10.0);
    }
    (status, hotels)
}
