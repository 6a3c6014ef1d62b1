//! Character sets and collations.

/// The name that MySQL writes now.
pub fn canonical(name: &str) -> String {
    let name = name.to_lowercase();
    match name.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None if name == "utf8" => "utf8mb3".into(),
        None => name,
    }
}

/// The character set of a collation.
pub fn of_collation(collation: &str) -> String {
    collation.split('_').next().unwrap_or_default().to_owned()
}

/// The collation of a character set for which none is named, in MySQL 8.
pub fn default_collation(charset: &str) -> String {
    match charset {
        "utf8mb4" => "utf8mb4_0900_ai_ci".into(),
        "latin1" => "latin1_swedish_ci".into(),
        "binary" => "binary".into(),
        other => format!("{other}_general_ci"),
    }
}

/// The most bytes of one character.
pub fn longest_character(charset: &str) -> u64 {
    match charset {
        "ascii" | "latin1" | "binary" => 1,
        "utf8mb3" => 3,
        _ => 4,
    }
}

/// How many times as many bytes a text may take in another character set.
pub fn growth(from: &str, to: &str) -> u64 {
    match (from, to) {
        _ if from == to => 1,
        ("ascii", _) | ("utf8mb3", "utf8mb4") => 1,
        _ => longest_character(to),
    }
}

/// Whether every character of `from` is one of `to`.
pub fn is_within(from: &str, to: &str) -> bool {
    from == to
        || match to {
            // Every other character set is a part of Unicode.
            "utf8mb4" => from != "binary",
            "utf8mb3" => matches!(from, "ascii" | "latin1"),
            "latin1" => from == "ascii",
            _ => false,
        }
}
