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
