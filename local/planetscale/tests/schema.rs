//! What statements mean, and how differences are written.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use planetscale_emulator::schema::{Operation, Schema, Script, diff};

const TABLE: &str = "CREATE TABLE t (
    id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
    name VARCHAR(50) NOT NULL,
    town VARCHAR(50),
    price DECIMAL(8,2) DEFAULT 0,
    kind ENUM('a','b') NOT NULL DEFAULT 'a',
    made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY by_town (town)
)";

fn schema(sql: &[&str]) -> Schema {
    let mut schema = Schema::default();
    for sql in sql {
        schema.run(&Script::parse(sql).unwrap()).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    schema
}

/// What becomes of a table by each change: the statement, and whether data can be lost.
#[test]
fn a_change_is_written_as_one_alter_with_names_in_backticks() {
    let changes = [
        ("ADD stars FLOAT(2) UNSIGNED", "ADD COLUMN `stars` float unsigned", false),
        (
            "ADD a INT NOT NULL DEFAULT -1 COMMENT 'it''s'",
            "ADD COLUMN `a` int NOT NULL DEFAULT '-1' COMMENT 'it''s'",
            false,
        ),
        ("ADD a BOOL FIRST", "ADD COLUMN `a` tinyint(1) FIRST", false),
        ("ADD a BIGINT(20) AFTER name", "ADD COLUMN `a` bigint AFTER `name`", false),
        ("ADD (a INT, b INT)", "ADD COLUMN `a` int, ADD COLUMN `b` int", false),
        ("ADD a JSON DEFAULT (json_array())", "ADD COLUMN `a` json DEFAULT (json_array())", false),
        (
            "ADD a DATETIME(3) DEFAULT NOW(3) ON UPDATE NOW(3)",
            "ADD COLUMN `a` datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
            false,
        ),
        (
            "ADD a INT AS (price * 2) STORED",
            "ADD COLUMN `a` int GENERATED ALWAYS AS (`price` * 2) STORED",
            false,
        ),
        ("DROP COLUMN name", "DROP COLUMN `name`", true),
        ("DROP town", "DROP KEY `by_town`, DROP COLUMN `town`", true),
        (
            "RENAME COLUMN name TO title",
            "DROP COLUMN `name`, ADD COLUMN `title` varchar(50) NOT NULL AFTER `id`",
            true,
        ),
        ("CHANGE name name VARCHAR(80) NOT NULL", "MODIFY COLUMN `name` varchar(80) NOT NULL", false),
        ("MODIFY name VARCHAR(40) NOT NULL", "MODIFY COLUMN `name` varchar(40) NOT NULL", true),
        ("MODIFY name TEXT NOT NULL", "MODIFY COLUMN `name` text NOT NULL", false),
        ("MODIFY name INT NOT NULL", "MODIFY COLUMN `name` int NOT NULL", true),
        (
            "MODIFY id BIGINT UNSIGNED AUTO_INCREMENT",
            "MODIFY COLUMN `id` bigint unsigned NOT NULL AUTO_INCREMENT",
            false,
        ),
        ("MODIFY id INT AUTO_INCREMENT", "MODIFY COLUMN `id` int NOT NULL AUTO_INCREMENT", true),
        ("MODIFY price DECIMAL(10,2)", "MODIFY COLUMN `price` decimal(10,2)", false),
        ("MODIFY price DECIMAL(8,1)", "MODIFY COLUMN `price` decimal(8,1)", true),
        (
            "MODIFY kind ENUM('a','b','c') NOT NULL DEFAULT 'a'",
            "MODIFY COLUMN `kind` enum('a','b','c') NOT NULL DEFAULT 'a'",
            false,
        ),
        (
            "MODIFY kind ENUM('b','a') NOT NULL DEFAULT 'a'",
            "MODIFY COLUMN `kind` enum('b','a') NOT NULL DEFAULT 'a'",
            true,
        ),
        ("MODIFY town VARCHAR(50) AFTER id", "MODIFY COLUMN `town` varchar(50) AFTER `id`", false),
        ("MODIFY made TIMESTAMP NULL DEFAULT NULL FIRST", "MODIFY COLUMN `made` timestamp NULL FIRST", false),
        ("ALTER town SET DEFAULT 'here'", "MODIFY COLUMN `town` varchar(50) DEFAULT 'here'", false),
        ("ALTER COLUMN price DROP DEFAULT", "MODIFY COLUMN `price` decimal(8,2)", false),
        ("ADD KEY (name)", "ADD KEY `name` (`name`)", false),
        ("ADD INDEX part (name(10), town DESC)", "ADD KEY `part` (`name`(10),`town` DESC)", false),
        ("ADD UNIQUE one (name, town)", "ADD UNIQUE KEY `one` (`name`,`town`)", false),
        ("ADD FULLTEXT KEY words (name)", "ADD FULLTEXT KEY `words` (`name`)", false),
        ("ADD KEY twice ((price * 2))", "ADD KEY `twice` ((`price` * 2))", false),
        ("DROP INDEX by_town", "DROP KEY `by_town`", false),
        ("RENAME INDEX by_town TO town", "DROP KEY `by_town`, ADD KEY `town` (`town`)", false),
        ("ALTER INDEX by_town INVISIBLE", "DROP KEY `by_town`, ADD KEY `by_town` (`town`) INVISIBLE", false),
        (
            "DROP PRIMARY KEY, MODIFY id INT UNSIGNED NOT NULL, ADD PRIMARY KEY (id, name)",
            "DROP PRIMARY KEY, MODIFY COLUMN `id` int unsigned NOT NULL, ADD PRIMARY KEY (`id`,`name`)",
            false,
        ),
        (
            "ADD CONSTRAINT positive CHECK (price >= 0 AND name <> '')",
            "ADD CONSTRAINT `positive` CHECK (`price` >= 0 AND `name` <> '')",
            false,
        ),
        (
            "ADD KEY k (town, name), ADD CONSTRAINT f FOREIGN KEY (town) REFERENCES towns (name) ON DELETE CASCADE",
            "ADD KEY `k` (`town`,`name`), ADD CONSTRAINT `f` FOREIGN KEY (`town`) REFERENCES `towns` (`name`) ON DELETE CASCADE",
            false,
        ),
        ("COMMENT = 'things'", "COMMENT 'things'", false),
        (
            "CONVERT TO CHARACTER SET latin1",
            "MODIFY COLUMN `name` varchar(50) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL, \
             MODIFY COLUMN `town` varchar(50) CHARACTER SET latin1 COLLATE latin1_swedish_ci, \
             MODIFY COLUMN `kind` enum('a','b') CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'a', \
             CHARSET latin1 COLLATE latin1_swedish_ci",
            true,
        ),
        ("DEFAULT CHARSET latin1", "CHARSET latin1 COLLATE latin1_swedish_ci", false),
        ("PARTITION BY HASH (id) PARTITIONS 4", "PARTITION BY HASH ( id ) PARTITIONS 4", false),
        (
            "ADD a INT, DROP COLUMN price, ADD KEY (a)",
            "DROP COLUMN `price`, ADD COLUMN `a` int, ADD KEY `a` (`a`)",
            true,
        ),
    ];
    for (change, clauses, can_drop_data) in changes {
        let from = schema(&[TABLE]);
        let to = schema(&[TABLE, &format!("ALTER TABLE t {change}")]);
        let found = diff(&from, &to);
        assert_eq!(found.len(), 1, "{change}");
        assert_eq!(found[0].statement, format!("ALTER TABLE `t` {clauses}"), "{change}");
        assert_eq!(found[0].can_drop_data, can_drop_data, "{change}");
        assert_eq!(found[0].operation, Operation::Alter);
    }
}

/// Every change and its opposite lead from one schema to the other.
#[test]
fn the_statements_of_a_difference_make_it_disappear_both_ways() {
    let base = schema(&[TABLE]);
    for change in [
        "ALTER TABLE t ADD a INT FIRST, ADD b INT AFTER town, DROP COLUMN name, DROP KEY by_town",
        "ALTER TABLE t MODIFY made TIMESTAMP NULL FIRST, MODIFY id INT UNSIGNED AUTO_INCREMENT AFTER kind, ADD z INT",
        "ALTER TABLE t DROP PRIMARY KEY, DROP COLUMN id, ADD PRIMARY KEY (name)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (price > 0), ADD UNIQUE KEY u (name), COMMENT 'x', ROW_FORMAT=COMPRESSED",
        "ALTER TABLE t CONVERT TO CHARACTER SET latin1",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (town) REFERENCES other (name)",
        "ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 4",
        "DROP TABLE t",
        "CREATE TABLE u LIKE t; RENAME TABLE t TO v; CREATE UNIQUE INDEX one ON v (name); DROP INDEX by_town ON v",
    ] {
        let mut changed = base.clone();
        changed.run(&Script::parse(change).unwrap()).unwrap_or_else(|error| panic!("{change}: {error}"));
        for (from, to) in [(&base, &changed), (&changed, &base)] {
            let mut moved = from.clone();
            for step in diff(from, to) {
                moved
                    .run(&Script::parse(&step.statement).unwrap())
                    .unwrap_or_else(|e| panic!("{}: {e}", step.statement));
            }
            assert_eq!(&moved, to, "{change}");
        }
    }
}

#[test]
fn what_is_printed_is_read_back_the_same() {
    let mysql = "CREATE TABLE `bookings` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `hotel` int(11) DEFAULT '0',
  `state` set('new','paid') COLLATE utf8mb4_bin NOT NULL DEFAULT 'new',
  `note` mediumtext CHARACTER SET latin1 COLLATE latin1_bin,
  `total` decimal(10,2) GENERATED ALWAYS AS (`hotel` * 2) VIRTUAL,
  `flags` bit(4) NOT NULL DEFAULT b'1010',
  `uuid` varchar(36) NOT NULL DEFAULT (uuid()),
  `made` timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `path` varchar(20) NOT NULL DEFAULT 'a\\\\b''c' COMMENT 'where; it is',
  PRIMARY KEY (`id`,`made`),
  UNIQUE KEY `uuid` (`uuid`) USING BTREE,
  KEY `note` (`note`(20)) /*!80000 INVISIBLE */,
  FULLTEXT KEY `words` (`note`) COMMENT 'search',
  CONSTRAINT `of_hotel` FOREIGN KEY (`hotel`) REFERENCES `hotels` (`id`) ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT `cheap` CHECK ((`hotel` < 10)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB AUTO_INCREMENT=17 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci ROW_FORMAT=DYNAMIC COMMENT='all of them'
/*!50100 PARTITION BY RANGE (`id`)
(PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */";
    let mariadb = "CREATE TABLE `notes` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `body` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`body`)),
  `at` datetime(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  `number` int(11) NOT NULL DEFAULT 5,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci";
    for text in [mysql, mariadb] {
        let first = Schema::from_tables([text]).unwrap();
        let printed: Vec<String> = first.tables().map(|table| table.to_sql()).collect();
        let second = Schema::from_tables(&printed).unwrap();
        assert_eq!(first, second, "{printed:?}");
        assert!(diff(&first, &second).is_empty());
    }
}

#[test]
fn spelling_is_no_difference() {
    let pairs = [
        (
            "id INTEGER(11) PRIMARY KEY, a BOOLEAN",
            "`id` int not null, `a` tinyint(1) default null, primary key (`id`)",
        ),
        ("id INT PRIMARY KEY, a NUMERIC DEFAULT 1", "id int primary key, a decimal(10,0) default '1'"),
        ("id INT PRIMARY KEY, a VARCHAR(5) UNIQUE", "id int primary key, a varchar(5), unique key a (a)"),
        ("id SERIAL PRIMARY KEY", "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE PRIMARY KEY"),
        (
            "id INT PRIMARY KEY, a TIMESTAMP DEFAULT NOW()",
            "id INT PRIMARY KEY, a TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP()",
        ),
        ("id INT PRIMARY KEY, CHECK(id>0)", "id INT PRIMARY KEY, CONSTRAINT t_chk_1 CHECK ( `id` > 0 )"),
        (
            "id INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES u (b), a INT, KEY a (a)",
            "id INT PRIMARY KEY, a INT, KEY a (a), CONSTRAINT t_ibfk_1 FOREIGN KEY (a) REFERENCES u (b)",
        ),
        ("id CHAR(36) PRIMARY KEY DEFAULT (UUID())", "id CHAR(36) PRIMARY KEY DEFAULT uuid()"),
        ("id INT PRIMARY KEY, a TEXT CHARACTER SET utf8mb4", "id INT PRIMARY KEY, a TEXT"),
    ];
    for (one, other) in pairs {
        let one = schema(&[&format!("CREATE TABLE t ({one})")]);
        let other = schema(&[&format!("CREATE TABLE t ({other}) ENGINE=innodb CHARSET=utf8mb4")]);
        assert_eq!(diff(&one, &other), [], "{other:?}");
    }
}

#[test]
fn tables_that_come_and_go_are_operations_of_their_own() {
    let from = schema(&["CREATE TABLE b (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY)"]);
    let to = schema(&["CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE c (id BIGINT PRIMARY KEY)"]);
    let found: Vec<(String, Operation, bool)> = diff(&from, &to)
        .into_iter()
        .map(|change| (change.table, change.operation, change.can_drop_data))
        .collect();
    let expected =
        [("a", Operation::Create, false), ("b", Operation::Drop, true), ("c", Operation::Alter, false)];
    assert_eq!(found, expected.map(|(table, operation, loses)| (table.to_owned(), operation, loses)));
}

#[test]
fn instant_ddl_is_for_columns_that_come_and_go_and_for_defaults() {
    for (change, is_instant) in [
        ("ADD a INT AFTER id", true),
        ("DROP COLUMN price", true),
        ("ALTER price SET DEFAULT 5", true),
        ("MODIFY kind ENUM('a','b','c') NOT NULL DEFAULT 'a'", true),
        ("MODIFY name VARCHAR(80) NOT NULL", false),
        ("MODIFY town VARCHAR(50) FIRST", false),
        ("ADD KEY (name)", false),
        ("ADD a INT, ADD KEY (a)", false),
    ] {
        let to = schema(&[TABLE, &format!("ALTER TABLE t {change}")]);
        assert_eq!(diff(&schema(&[TABLE]), &to)[0].is_instant, is_instant, "{change}");
    }
}
