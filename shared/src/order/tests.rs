use super::*;

const STAYS: &str = "CREATE TABLE `stays` (`id` int NOT NULL AUTO_INCREMENT, `name` varchar(50) NOT NULL, \
    `note` varchar(20) DEFAULT NULL, PRIMARY KEY (`id`), KEY `by_note` (`note`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 \
    COLLATE=utf8mb4_0900_ai_ci /*!50100 PARTITION BY HASH (`id`) PARTITIONS 2 */";

fn verdict(sql: &str) -> Verdict {
    judge([sql], &Schema::read([STAYS])).verdict()
}

#[test]
fn comments_quotes_and_conditional_comments_are_read_as_mysql_reads_them() {
    for sql in [
        "ALTER TABLE stays /* DROP COLUMN name */ ADD COLUMN a int -- , DROP COLUMN name\n, ADD b int # DROP name",
        "ALTER TABLE `stays` ADD COLUMN `a, DROP COLUMN name` int",
        "alter table shop.stays add column a varchar(9) default 'it''s, \\' DROP COLUMN name' comment \"DROP x\"",
        "ALTER TABLE stays ADD COLUMN a int /*!80023 INVISIBLE */",
        "ALTER TABLE stays ADD COLUMN `a``b` int AFTER `name`, ADD c int FIRST",
    ] {
        assert_eq!(verdict(sql), Verdict::Expand, "{sql}");
    }
    assert_eq!(
        verdict("ALTER TABLE stays ADD a int NULL /*!50000 , DROP COLUMN note */"),
        Verdict::BreaksBothWays
    );
}

#[test]
fn what_cannot_be_read_breaks_both_ways_and_says_so() {
    let deep = format!("ALTER TABLE stays ADD a int AS ({}1{})", "(".repeat(30_000), ")".repeat(30_000));
    let endless = format!("ALTER TABLE stays ADD a int AS ({}", "(".repeat(60_000));
    for sql in [
        "",
        " ;; ",
        "-- nothing",
        "ALTER TABLE stays",
        "ALTER TABLE stays ADD COLUMN a int,",
        "ALTER TABLE stays ADD COLUMN",
        "ALTER TABLE stays FROB a",
        "ALTER TABLE stays ALTER COLUMN name TYPE text USING name::text",
        "ALTER TABLE stays ADD COLUMN a int[] NOT NULL",
        "CREATE INDEX CONCURRENTLY i ON stays (name)",
        "UPDATE stays SET name = ''",
        "TRUNCATE TABLE stays",
        "ALTER TABLE stays ADD COLUMN a int DEFAULT 'open",
        "\0\u{feff}💥",
        &endless,
    ] {
        let judgement = judge([sql], &Schema::read([STAYS]));
        assert_eq!(judgement.verdict(), Verdict::BreaksBothWays, "{sql}");
        assert!(judgement.findings[0].reason().contains("cannot be read"), "{sql}");
    }
    assert_eq!(verdict(&deep), Verdict::Expand);
}

#[test]
fn large_statements_are_judged_clause_by_clause() {
    let adds: Vec<_> = (0..1_000).map(|n| format!("ADD c{n} int")).collect();
    let judgement =
        judge([format!("ALTER TABLE stays {}", adds.join(", ")).as_str()], &Schema::read([STAYS]));
    assert_eq!((judgement.verdict(), judgement.findings.len()), (Verdict::Expand, 1_000));
}

/// MariaDB takes NULL where the dropped default of a nullable column was, and so says MySQL's manual. That MySQL itself
/// refuses the INSERT (1364) is not verified here; the safer of both is taken.
#[test]
fn a_dropped_default_of_a_nullable_column_counts_as_gone() {
    assert_eq!(verdict("ALTER TABLE stays ALTER COLUMN note DROP DEFAULT"), Verdict::Contract);
    assert_eq!(verdict("ALTER TABLE stays ALTER COLUMN note SET DEFAULT NULL"), Verdict::Expand);
}

#[test]
fn each_clause_has_its_own_verdict_and_statement() {
    let sql = "ALTER TABLE `stays` ADD COLUMN `a` int, DROP COLUMN `note`, COMMENT 'x'";
    let judgement = judge([sql], &Schema::read([STAYS]));
    assert_eq!(judgement.verdict(), Verdict::BreaksBothWays);
    let found: Vec<_> = judgement.findings.iter().map(|f| (f.statement.as_str(), f.verdict())).collect();
    assert_eq!(
        found,
        [
            ("ALTER TABLE `stays` ADD COLUMN `a` int", Verdict::Expand),
            ("ALTER TABLE `stays` DROP COLUMN `note`", Verdict::Contract),
            ("ALTER TABLE `stays` COMMENT 'x'", Verdict::Expand),
        ]
    );
}

#[test]
fn a_way_out_names_the_statements_of_each_release() {
    for (sql, words) in [
        (
            "ALTER TABLE stays ADD COLUMN stars int unsigned NOT NULL",
            vec![
                "ADD COLUMN `stars` int unsigned NULL",
                "WHERE `stars` IS NULL",
                "MODIFY COLUMN `stars` int unsigned NOT NULL",
            ],
        ),
        (
            "ALTER TABLE stays RENAME COLUMN name TO title",
            vec!["ADD COLUMN `title` varchar(50) NULL", "SET `title` = `name`", "DROP COLUMN `name`"],
        ),
        (
            "ALTER TABLE stays DROP COLUMN name",
            vec!["MODIFY COLUMN `name` varchar(50) NULL", "DROP COLUMN `name`"],
        ),
        ("RENAME TABLE stays TO hotels", vec!["CREATE TABLE `hotels` LIKE `stays`", "DROP TABLE `stays`"]),
    ] {
        let judgement = judge([sql], &Schema::read([STAYS]));
        assert_eq!(judgement.verdict(), Verdict::BreaksBothWays, "{sql}");
        for word in words {
            assert!(judgement.findings[0].way_out.contains(word), "{:?}", judgement.findings);
        }
    }
}

#[test]
fn without_the_table_as_it_was_the_safer_verdict_is_taken_and_told() {
    for (sql, expected) in [
        ("ALTER TABLE t ADD COLUMN a int", Verdict::Expand),
        ("ALTER TABLE t ADD COLUMN a int NOT NULL", Verdict::BreaksBothWays),
        ("ALTER TABLE t MODIFY COLUMN a varchar(100)", Verdict::Contract),
        ("ALTER TABLE t CHANGE a a varchar(100)", Verdict::Contract),
        ("ALTER TABLE t CHANGE a b varchar(100)", Verdict::BreaksBothWays),
        ("ALTER TABLE t DROP COLUMN a", Verdict::Contract),
        ("ALTER TABLE t DROP KEY a", Verdict::Contract),
        ("ALTER TABLE t ALTER a DROP DEFAULT", Verdict::Contract),
        ("ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4", Verdict::Contract),
        ("ALTER TABLE t DROP CONSTRAINT c", Verdict::BreaksBothWays),
    ] {
        let judgement = judge([sql], &Schema::default());
        assert_eq!(judgement.verdict(), expected, "{sql}: {judgement:?}");
        let is_about_before = !sql.contains("ADD") && !sql.contains("CHANGE a b");
        assert_eq!(judgement.is_guessed(), is_about_before, "{sql}");
    }
}
