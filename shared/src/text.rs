//! Text for people.

use crate::mask::mask_credentials;

/// What others wrote, fit to be told: credentials in it are masked, it is cut to at most `longest` characters, and
/// control characters become spaces.
pub fn shorten(text: &str, longest: usize) -> String {
    // Before it is cut: half a password has no shape.
    let text = &*mask_credentials(text);
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    match text.char_indices().nth(longest) {
        None => text.chars().map(clean).collect(),
        Some((end, _)) => text[..end].chars().map(clean).chain(['…']).collect(),
    }
}

/// The clauses of an `ALTER TABLE` statement: what stands between its commas, outside quotes and parentheses, the first
/// behind the table's name.
pub fn clauses(statement: &str) -> Vec<&str> {
    let (mut quote, mut depth, mut escaped, mut start) = (None, 0_usize, false, 0);
    let mut parts = Vec::new();
    for (at, c) in statement.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            // Backticks know no escape.
            Some(open) if c == '\\' && open != '`' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' | '`' => quote = Some(c),
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(statement[start..at].trim());
                    start = at + 1;
                }
                _ => {}
            },
        }
    }
    parts.push(statement[start..].trim());
    if let Some(first) = parts.first_mut() {
        *first = behind_the_table(first);
    }
    parts
}

/// What follows `ALTER TABLE`, a name and its blanks.
fn behind_the_table(clause: &str) -> &str {
    let upper = clause.get(.."ALTER TABLE".len()).map(str::to_ascii_uppercase);
    let Some("ALTER TABLE") = upper.as_deref() else { return clause };
    let rest = clause["ALTER TABLE".len()..].trim_start();
    let mut quoted = false;
    let end = rest.find(|c: char| {
        quoted ^= c == '`';
        !quoted && c.is_whitespace()
    });
    end.map_or("", |end| rest[end..].trim_start())
}

/// `seconds` in the two largest units, such as `2 h 5 min`.
pub fn duration(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let shown: Vec<_> = parts
        .into_iter()
        .skip_while(|(amount, _)| *amount == 0)
        .take(2)
        .filter(|(amount, _)| *amount > 0)
        .map(|(amount, unit)| format!("{amount} {unit}"))
        .collect();
    if shown.is_empty() { "0 s".into() } else { shown.join(" ") }
}

/// That the deadline for `what`, of `seconds`, passed.
pub fn deadline_passed(what: &str, seconds: u64) -> String {
    format!("The deadline for {what} ({}) passed.", duration(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_characters_and_cleared_of_control_characters() {
        assert_eq!(shorten("añb", 3), "añb");
        assert_eq!(shorten("añbc", 3), "añb…");
        assert_eq!(shorten("a\n\u{1b}[31mb", 9), "a  [31mb");
    }

    #[test]
    fn credentials_are_masked_before_text_is_cut() {
        assert_eq!(shorten("at mysql://me:hush@db.example", 18), "at mysql://me:***@…");
    }

    #[test]
    fn a_statement_has_the_clauses_between_its_own_commas() {
        for (statement, expected) in [
            ("ALTER TABLE `a` ADD COLUMN `b` int", vec!["ADD COLUMN `b` int"]),
            (
                "ALTER TABLE `a, b` DROP COLUMN `c`,\n\tADD COLUMN `d` int",
                vec!["DROP COLUMN `c`", "ADD COLUMN `d` int"],
            ),
            ("alter table a drop column c, add d decimal(5,2)", vec!["drop column c", "add d decimal(5,2)"]),
            (
                "ALTER TABLE a DROP b, COMMENT 'x, ADD \\' y, ''z'",
                vec!["DROP b", "COMMENT 'x, ADD \\' y, ''z'"],
            ),
            ("DROP TABLE `a`", vec!["DROP TABLE `a`"]),
            ("", vec![""]),
            ("ALTER TABLE", vec![""]),
        ] {
            assert_eq!(clauses(statement), expected, "{statement}");
        }
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_900, "1 h 5 min"),
            (86_400, "1 d"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
