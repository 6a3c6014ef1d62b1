//! Branches that are databases of a server.
//!
//! The other tests run on one as well, when `PLANETSCALE_EMULATOR_DATABASE_SERVER` names it.

use mysql::Conn;
use mysql::prelude::Queryable;
use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{ADD_COLUMN, Lab, database_server};

/// The tutorial's table.
const HOTELS: &str = "CREATE TABLE stays(
id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
name VARCHAR(50) NOT NULL,
address VARCHAR(50) NOT NULL,
stars FLOAT(2) UNSIGNED
);";

/// Every kind of column, key and option that MySQL and MariaDB write differently.
const ALL_KINDS: &str = "CREATE TABLE kinds (
    id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
    a INT(11) DEFAULT 5,
    b BOOLEAN NOT NULL DEFAULT TRUE,
    c JSON,
    d DATETIME(3) DEFAULT NOW(3) ON UPDATE NOW(3),
    e TIMESTAMP NULL,
    f TEXT,
    g VARCHAR(36) NOT NULL DEFAULT (UUID()),
    h VARCHAR(10) CHARACTER SET latin1,
    i VARCHAR(10) COLLATE utf8mb4_bin,
    j ENUM('x','y') NOT NULL DEFAULT 'x',
    k INT AS (a * 2) STORED,
    l VARCHAR(20) COMMENT 'utf8mb4_0900_ai_ci; it''s `so`',
    m BIT(4) NOT NULL DEFAULT b'1010',
    n VARCHAR(5) COLLATE utf8mb4_0900_as_cs,
    UNIQUE KEY one (g),
    KEY two (h(4), i),
    CHECK (a > 0)
) COMMENT 'all of them' CHARSET=utf8mb4";

impl Lab {
    /// A connection as the branch's own user.
    async fn client(&self, branch: &str) -> Conn {
        let connection =
            self.in_database(Method::GET, &format!("/branches/{branch}/connection"), json!({})).await;
        Conn::new(connection["url"].as_str().unwrap()).unwrap()
    }
}

fn strings(client: &mut Conn, query: &str) -> Vec<String> {
    client.query(query).unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn error_number(client: &mut Conn, statement: &str) -> u16 {
    match client.query_drop(statement) {
        Err(mysql::Error::MySqlError(error)) => error.code,
        other => panic!("{statement}: {other:?}"),
    }
}

fn administrator() -> Conn {
    Conn::new(database_server().expect("PLANETSCALE_EMULATOR_DATABASE_SERVER names a server").as_str())
        .unwrap()
}

async fn failure(lab: &Lab, number: u64) -> String {
    lab.request(number).await.text("/deployment/deploy_operations/0/deploy_errors").to_owned()
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn a_deploy_changes_the_database_and_a_revert_keeps_what_was_written_since() {
    let lab = Lab::start().await;
    let mut main = lab.client("main").await;
    main.query_drop("INSERT INTO hotels (name) VALUES ('California'), ('Galt House')").unwrap();
    assert_eq!(error_number(&mut main, "SELECT stars FROM hotels"), 1054);

    let number = lab.applied(ADD_COLUMN).await;
    main.query_drop("UPDATE hotels SET stars = 4 WHERE name = 'Galt House'").unwrap();
    main.query_drop("INSERT INTO hotels (name, stars) VALUES ('Chelsea', 3)").unwrap();
    assert_eq!(strings(&mut main, "SELECT COALESCE(stars, '-') FROM hotels ORDER BY id"), ["-", "4", "3"]);

    lab.post(&format!("/deploy-requests/{number}/revert")).await;
    lab.pass(1).await;
    lab.assert_states(number, "closed", "complete_revert", "complete_revert").await;
    assert_eq!(error_number(&mut main, "SELECT stars FROM hotels"), 1054);
    assert_eq!(
        strings(&mut main, "SELECT name FROM hotels ORDER BY id"),
        ["California", "Galt House", "Chelsea"]
    );
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn a_revert_brings_back_dropped_columns_and_tables_with_their_data() {
    let lab = Lab::start().await;
    let set_up = "ALTER TABLE hotels ADD code VARCHAR(5) NOT NULL FIRST, ADD UNIQUE KEY (code); \
                  CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(20), twice INT AS (id * 2) VIRTUAL)";
    lab.applied(set_up).await;
    lab.act(1, "skip_revert").await;
    let before = lab.schema("main").await;
    let mut main = lab.client("main").await;
    main.query_drop(
        "INSERT INTO hotels (code, name) VALUES ('a', 'California'), ('b', 'Galt House'), ('c', 'Gone')",
    )
    .unwrap();
    main.query_drop("INSERT INTO notes (id, text) VALUES (0, 'kept')").unwrap();

    let number = lab.applied("ALTER TABLE hotels DROP COLUMN code; DROP TABLE notes").await;
    assert_eq!(error_number(&mut main, "SELECT code FROM hotels"), 1054);
    assert_eq!(error_number(&mut main, "SELECT * FROM notes"), 1146);
    main.query_drop("INSERT INTO hotels (name) VALUES ('New')").unwrap();
    main.query_drop("UPDATE hotels SET name = 'Galt' WHERE name = 'Galt House'").unwrap();
    main.query_drop("DELETE FROM hotels WHERE name = 'Gone'").unwrap();

    lab.post(&format!("/deploy-requests/{number}/revert")).await;
    lab.pass(1).await;
    lab.assert_states(number, "closed", "complete_revert", "complete_revert").await;
    assert_eq!(lab.schema("main").await, before);
    let rows = strings(&mut main, "SELECT CONCAT(code, ' ', name) FROM hotels ORDER BY id");
    assert_eq!(rows, ["a California", "b Galt", " New"]);
    assert_eq!(strings(&mut main, "SELECT CONCAT(id, text, twice) FROM notes"), ["0kept0"]);
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn a_revert_brings_back_what_a_smaller_type_took_from_values_that_nobody_changed_since() {
    let lab = Lab::start().await;
    lab.applied("ALTER TABLE hotels ADD price DECIMAL(8,2), ADD town VARCHAR(20)").await;
    lab.act(1, "skip_revert").await;
    let mut main = lab.client("main").await;
    main.query_drop(
        "INSERT INTO hotels (name, price, town) VALUES ('a', 1.25, 'x'), ('b', 2.75, 'y'), ('c', NULL, NULL)",
    )
    .unwrap();
    let number = lab
        .applied("ALTER TABLE hotels MODIFY price INT, MODIFY town VARCHAR(10) CHARACTER SET latin1")
        .await;
    let values = "SELECT CONCAT_WS(' ', name, price, town) FROM hotels ORDER BY id";
    assert_eq!(strings(&mut main, values), ["a 1 x", "b 3 y", "c"]);
    main.query_drop("UPDATE hotels SET price = 9, town = 'Y' WHERE name = 'b'").unwrap();
    main.query_drop("INSERT INTO hotels (name, price) VALUES ('d', 1)").unwrap();

    lab.post(&format!("/deploy-requests/{number}/revert")).await;
    lab.pass(1).await;
    lab.assert_states(number, "closed", "complete_revert", "complete_revert").await;
    assert_eq!(strings(&mut main, values), ["a 1.25 x", "b 9.00 Y", "c", "d 1.00"]);
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn a_statement_that_fails_in_the_middle_of_a_deploy_leaves_everything_as_it_was() {
    let lab = Lab::start().await;
    lab.applied("CREATE TABLE amenities (id INT PRIMARY KEY, name VARCHAR(20)); CREATE TABLE bills (id INT PRIMARY KEY)")
        .await;
    lab.act(1, "skip_revert").await;
    let before = lab.schema("main").await;
    let mut main = lab.client("main").await;
    main.query_drop("INSERT INTO amenities VALUES (1, 'pool')").unwrap();
    main.query_drop("INSERT INTO bills VALUES (7)").unwrap();
    main.query_drop("INSERT INTO hotels (name) VALUES ('same'), ('same')").unwrap();

    // The tables' names put the one that fails last.
    let number = lab
        .deployed(
            "ALTER TABLE amenities DROP COLUMN name, ADD price INT; DROP TABLE bills; \
             CREATE TABLE cars (id INT PRIMARY KEY); ALTER TABLE hotels ADD UNIQUE KEY (name)",
        )
        .await;
    lab.pass(4).await;
    lab.assert_states(number, "open", "complete_error", "complete_error").await;
    assert!(failure(&lab, number).await.contains("Duplicate entry 'same' for key 'name' (errno 1062)"));
    assert_eq!(lab.schema("main").await, before);
    assert_eq!(strings(&mut main, "SELECT name FROM amenities"), ["pool"]);
    assert_eq!(strings(&mut main, "SELECT id FROM bills"), ["7"]);
    assert_eq!(lab.schema_changes("main").await, [("deploy".to_owned(), 1)]);
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn a_revert_fails_where_rows_no_longer_fit_and_changes_nothing() {
    let lab = Lab::start().await;
    let mut main = lab.client("main").await;
    let number = lab
        .applied(
            "ALTER TABLE hotels MODIFY name VARCHAR(80) NOT NULL; CREATE TABLE amenities (id INT PRIMARY KEY)",
        )
        .await;
    // The revert drops the table before it comes to the rows that do not fit.
    let long = "n".repeat(70);
    main.query_drop(format!("INSERT INTO hotels (name) VALUES ('{long}')")).unwrap();
    main.query_drop("INSERT INTO amenities VALUES (1)").unwrap();

    lab.post(&format!("/deploy-requests/{number}/revert")).await;
    lab.pass(1).await;
    lab.assert_states(number, "open", "complete_revert_error", "complete_revert_error").await;
    assert_eq!(lab.schema("main").await, lab.schema("dev").await);
    assert_eq!(strings(&mut main, "SELECT name FROM hotels"), [long]);
    assert_eq!(strings(&mut main, "SELECT id FROM amenities"), ["1"]);
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn ddl_of_a_mysql_client_counts_as_a_change_of_the_branch() {
    let lab = Lab::start().await;
    lab.in_database(Method::PUT, "/branches/main", json!({"queue_pause": "wait"})).await;
    let number = lab.deployed(ADD_COLUMN).await;
    let mut dev = lab.client("dev").await;
    dev.query_drop("ALTER TABLE hotels ADD description VARCHAR(400)").unwrap();

    lab.assert_states(number, "open", "pending", "pending").await;
    lab.pass(1).await;
    let request = lab.request(number).await;
    assert_eq!(
        request.text("/deployment/deploy_operations/0/ddl_statement"),
        "ALTER TABLE `hotels` ADD COLUMN `stars` int, ADD COLUMN `description` varchar(400)"
    );
    let effects = lab.control(Method::GET, "effects", json!({})).await;
    let of_client =
        effects.as_array().unwrap().iter().rfind(|effect| effect["kind"] == "schema_changed").unwrap();
    assert_eq!(of_client["cause"], "sql");
    assert_eq!(
        of_client["statements"],
        json!(["ALTER TABLE `hotels` ADD COLUMN `description` varchar(400)"])
    );

    dev.query_drop("UPDATE hotels SET stars = 1").unwrap();
    lab.assert_states(number, "open", "ready", "ready").await;
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn a_branchs_user_reaches_nothing_else_and_changes_the_schema_only_without_safe_migrations() {
    let lab = Lab::start().await;
    let of_dev = lab.in_database(Method::GET, "/branches/dev/connection", json!({})).await;
    let again = lab.in_database(Method::GET, "/branches/dev/connection", json!({})).await;
    assert_eq!(of_dev, again);
    let text = |name: &str| of_dev[name].as_str().unwrap().to_owned();
    let (user, password, address, database) =
        (text("username"), text("plain_text"), text("access_host_url"), text("database"));
    assert_eq!(text("url"), format!("mysql://{user}:{password}@{address}/{database}"));
    assert_eq!(text("dsn"), format!("{user}:{password}@tcp({address})/{database}"));

    let mut dev = lab.client("dev").await;
    assert_eq!(strings(&mut dev, "SHOW DATABASES"), ["information_schema".to_owned(), database]);
    let of_main = lab.in_database(Method::GET, "/branches/main/connection", json!({})).await;
    let other = format!("SELECT * FROM {}.hotels", of_main["database"].as_str().unwrap());
    assert_eq!(error_number(&mut dev, &other), 1142);
    dev.query_drop("CREATE TABLE notes (id INT PRIMARY KEY)").unwrap();

    let protected = async |enabled: bool| {
        lab.in_database(Method::PUT, "/branches/main", json!({"safe_migrations": enabled})).await;
        lab.client("main").await
    };
    assert_eq!(error_number(&mut lab.client("main").await, "ALTER TABLE hotels ADD a INT"), 1142);
    protected(false).await.query_drop("ALTER TABLE hotels ADD a INT").unwrap();
    assert_eq!(error_number(&mut protected(true).await, "DROP TABLE hotels"), 1142);
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn branches_have_any_name_and_take_over_the_schema_without_rows() {
    let lab = Lab::start().await;
    lab.client("main").await.query_drop("INSERT INTO hotels (name) VALUES ('California')").unwrap();
    for name in ["Feature-1.x", "it%27s%60dev%60%3B--", "gr%C3%B6%C3%9Fe", "a_b", "aXb", &"long".repeat(60)] {
        lab.branch(name, "ALTER TABLE hotels ADD a INT").await;
        let mut client = lab.client(name).await;
        assert_eq!(strings(&mut client, "SELECT COUNT(a) + COUNT(*) FROM hotels"), ["0"], "{name}");
        assert_eq!(strings(&mut client, "SHOW DATABASES").len(), 2, "{name}");
    }
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn a_server_shows_the_same_schemas_and_differences_as_memory() {
    let mut shown: Vec<Vec<Value>> = Vec::new();
    for server in
        [None, Some(database_server().expect("PLANETSCALE_EMULATOR_DATABASE_SERVER names a server"))]
    {
        let lab = Lab::start_on(server).await;
        let mut of_lab = Vec::new();
        for sql in [
            HOTELS,
            ALL_KINDS,
            "ALTER TABLE stays ADD description VARCHAR(400)",
            "ALTER TABLE kinds DROP CHECK kinds_chk_1, MODIFY l VARCHAR(30) COLLATE utf8mb4_0900_ai_ci, DROP COLUMN d",
            "ALTER TABLE kinds ADD z INT, ADD CONSTRAINT p CHECK (b <> 2 AND z >= 0)",
            "ALTER TABLE kinds CONVERT TO CHARACTER SET latin1 COLLATE latin1_swedish_ci; DROP TABLE stays",
        ] {
            lab.sql("dev", sql).await;
            of_lab.push(lab.schema("dev").await);
            let number = lab.create("dev", json!({})).await;
            lab.pass(1).await;
            lab.post(&format!("/deploy-requests/{number}/deploy")).await;
            lab.pass(4).await;
            let request = lab.request(number).await.body;
            assert_eq!(request["deployment_state"], "complete_pending_revert", "{sql}: {request}");
            let operations = request["deployment"]["deploy_operations"].as_array().unwrap().iter();
            of_lab.extend(operations.map(|operation| operation["ddl_statement"].clone()));
            assert_eq!(lab.schema("main").await, lab.schema("dev").await, "{sql}");
            lab.act(number, "skip_revert").await;
        }
        shown.push(of_lab);
    }
    for (memory, server) in shown[0].iter().zip(&shown[1]) {
        assert_eq!(memory, server);
    }
    assert_eq!(shown[0].len(), shown[1].len());
}

#[tokio::test]
#[ignore = "needs a database server; make unit starts one"]
async fn nothing_stays_on_the_server() {
    let everything = "SELECT schema_name FROM information_schema.schemata UNION SELECT user FROM mysql.user";
    let lab = Lab::start().await;
    let mut names = Vec::new();
    for branch in ["main", "dev"] {
        let connection =
            lab.in_database(Method::GET, &format!("/branches/{branch}/connection"), json!({})).await;
        names.extend(["username", "database"].map(|name| connection[name].as_str().unwrap().to_owned()));
    }
    lab.applied("ALTER TABLE hotels DROP COLUMN name").await;
    let kept = format!("{}_kept_1", names[1]);
    let mut administrator = administrator();
    let present = strings(&mut administrator, everything);
    assert!(names.iter().chain([&kept]).all(|name| present.contains(name)), "{present:?}");
    lab.act(1, "skip_revert").await;
    assert!(!strings(&mut administrator, everything).contains(&kept));

    lab.control(Method::POST, "reset", json!({})).await;
    let present = strings(&mut administrator, everything);
    assert!(names.iter().all(|name| !present.contains(name)), "{present:?}");
}
