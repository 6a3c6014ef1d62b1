//! Keeps secrets out of what is told: Lightsail's refusals and a container's log may quote the connection string.

use std::ops::Range;

/// What stands for a secret.
const MASKED: &str = "***";

/// The shortest part of a secret that is looked for: shorter ones would blot out ordinary words.
const SHORTEST: usize = 4;

/// The secrets to look for in a text.
#[derive(Clone, Default)]
pub struct Mask {
    parts: Vec<String>,
}

impl Mask {
    /// Looks for `secret` and for the passwords and tokens in it, each also URL-decoded, URL-encoded, and as JSON
    /// writes it. Parts of fewer than four characters are not looked for.
    pub fn of(secret: &str) -> Self {
        let whole = secret.trim();
        let mut parts = Vec::new();
        // A password may have the very signs that end a word in other texts.
        let inside = credentials(whole).into_iter().chain(password_before_host(whole, 0..whole.len()));
        for part in std::iter::once(whole).chain(inside.map(|span| &whole[span])) {
            let decoded = decoded(part);
            parts.extend([
                part.to_owned(),
                encoded(part),
                encoded(&decoded),
                escaped(part),
                escaped(&decoded),
            ]);
            parts.push(decoded);
        }
        parts.retain(|part| part.chars().count() >= SHORTEST);
        parts.sort_unstable();
        parts.dedup();
        Self { parts }
    }

    /// As [`Self::of`], if the variable `name` has a secret by its name, such as `API_TOKEN`, or by the shape of its
    /// `value`; else looks for nothing.
    pub fn of_variable(name: &str, value: &str) -> Self {
        let secret = !credentials(&format!("{name}={value}")).is_empty();
        if secret { Self::of(value) } else { Self::default() }
    }

    /// Looks for what either of the two looks for.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// `text` without the secrets, and without anything else in it that has the shape of a credential.
    pub fn apply(&self, text: &str) -> String {
        let mut spans = credentials(text);
        for part in &self.parts {
            spans.extend(occurrences(text, part));
        }
        without(text, spans)
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Mask of {} texts", self.parts.len())
    }
}

/// `text` without what has the shape of a credential: a password between `user:` and `@`, a value behind a name such
/// as `password=`, a key of AWS, a password or token of PlanetScale.
pub fn mask_credentials(text: &str) -> String {
    without(text, credentials(text))
}

fn without(text: &str, mut spans: Vec<Range<usize>>) -> String {
    if spans.is_empty() {
        return text.to_owned();
    }
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut masked = String::with_capacity(text.len());
    let mut told = 0;
    for span in spans {
        if span.start >= told && span.start < span.end {
            masked.push_str(&text[told..span.start]);
            masked.push_str(MASKED);
        }
        told = told.max(span.end);
    }
    masked.push_str(&text[told..]);
    masked
}

/// Where `part` stands in `text`, overlapping occurrences included.
fn occurrences<'a>(text: &'a str, part: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let step = part.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text.get(from..)?.find(part)?;
        from = start + step;
        Some(start..start + part.len())
    })
}

/// The places of everything in `text` that has the shape of a credential.
fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for word in words(text) {
        spans.extend(password_before_host(text, word.clone()));
        for run in runs(text, word) {
            spans.extend(planetscale(text, run.clone()));
            spans.extend(aws(text, run));
        }
    }
    spans.extend(named(text));
    spans
}

/// What stands between blanks, quotes and angle brackets.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    pieces(text, 0..text.len(), |c| {
        !(c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>'))
    })
}

/// The runs of letters, digits, `_`, `+` and `/` in a word.
fn runs(text: &str, word: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    pieces(text, word, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '/'))
}

fn pieces(
    text: &str,
    within: Range<usize>,
    belongs: fn(char) -> bool,
) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut from = within.start;
    std::iter::from_fn(move || {
        let start = from + text[from..within.end].find(belongs)?;
        let end = text[start..within.end].find(|c| !belongs(c)).map_or(within.end, |length| start + length);
        from = end;
        Some(start..end)
    })
}

/// The password of `user:password@host`, with or without a scheme.
fn password_before_host(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let inside = &text[word.clone()];
    // An image's digest is no host.
    let at =
        inside.rmatch_indices('@').map(|(at, _)| at).find(|at| !inside[at + 1..].starts_with("sha256:"))?;
    let user = inside[..at].find("://").map_or(0, |scheme| scheme + "://".len());
    let colon = user + inside[user..at].find(':')?;
    (colon + 1 < at).then(|| word.start + colon + 1..word.start + at)
}

/// `pscale_pw_…`, `pscale_tkn_…`, `pscale_oauth_…` and the like.
fn planetscale(text: &str, run: Range<usize>) -> Option<Range<usize>> {
    let start = run.start + text[run.clone()].find("pscale_")?;
    let kind = start + "pscale_".len();
    let secret = kind + text[kind..run.end].find('_')? + 1;
    // A password may go on with signs that no run has.
    let end = text[secret..].find(|c: char| !(c.is_ascii_alphanumeric() || "_+/.-~".contains(c)));
    let end = end.map_or(text.len(), |length| secret + length);
    (secret < end).then_some(secret..end)
}

/// An access key's identifier, and what looks like its secret: 40 signs, mixed. A commit has no capitals.
fn aws(text: &str, run: Range<usize>) -> Option<Range<usize>> {
    let inside = &text[run.clone()];
    let identifier = ["AKIA", "ASIA"].iter().any(|prefix| inside.starts_with(prefix))
        && inside.len() == 20
        && inside.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let has = |kind: fn(&u8) -> bool| inside.as_bytes().iter().any(&kind);
    let secret = inside.len() == 40
        && !inside.contains('_')
        && !inside.starts_with('/')
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit);
    (identifier || secret).then_some(run)
}

/// Names whose value is a secret, as the last part of a longer name too.
const NAMES: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "secret_key",
    "private_key",
    "credential",
    "credentials",
    "authorization",
];

/// The values of `password=…`, `"password":"…"`, `password: …` and the like.
fn named(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut spans = Vec::new();
    for (at, sign) in text.match_indices(['=', ':']) {
        if spans.last().is_some_and(|span: &Range<usize>| at < span.end) {
            continue;
        }
        let before = lower[..at].trim_end_matches(' ');
        let bare = before.trim_end_matches(['"', '\'', '`', '\\']);
        let Some(name) = NAMES.iter().find(|name| bare.ends_with(*name)) else { continue };
        // "Unexpected token: ;" tells no secret.
        let quoted = bare.len() < before.len();
        if sign == ":" && !quoted && matches!(*name, "token" | "secret" | "credential" | "credentials") {
            continue;
        }
        let behind = &text[at + 1..];
        let value = behind.trim_start_matches(' ').trim_start_matches('\\');
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        let value = quote.map_or(value, |quote| &value[quote.len_utf8()..]);
        let start = text.len() - value.len();
        let ends = |c: char| match quote {
            Some(quote) => c == quote || c == '\\' || c.is_control(),
            None if *name == "authorization" => c.is_control() || matches!(c, '"' | '\'' | '`'),
            None => {
                c.is_whitespace()
                    || c.is_control()
                    || matches!(c, '"' | '\'' | '`' | '&' | ',' | ';' | ')' | '}')
            }
        };
        let end = value.find(ends).map_or(text.len(), |length| start + length);
        // MySQL's "(using password: YES)" tells none either.
        if start < end && !matches!(&text[start..end], "YES" | "NO" | MASKED) {
            spans.push(start..end);
        }
    }
    spans
}

/// `text` as a URL means it: `%` and two hexadecimal digits are one byte.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |index: usize| bytes.get(index).and_then(|&b| char::from(b).to_digit(16));
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// `text` as a part of a URL carries it.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `text` as JSON writes it between quotes.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_masked_whole_decoded_and_by_its_password() {
        let mask = Mask::of("mysql://app:p%40ss%2Fw0rd@db.example/bookings?ssl=true\n");
        for told in [
            "cannot reach mysql://app:p%40ss%2Fw0rd@db.example/bookings?ssl=true",
            "cannot reach mysql://app:p@ss/w0rd@db.example/bookings?ssl=true",
            "the password p@ss/w0rd is wrong",
            "the password p%40ss%2Fw0rd is wrong",
            "DSN=mysql%3A%2F%2Fapp%3Ap%40ss%2Fw0rd%40db.example%2Fbookings%3Fssl%3Dtrue",
        ] {
            let masked = mask.apply(told);
            assert!(!masked.contains("w0rd") && masked.contains(MASKED), "{masked}");
        }
        assert_eq!(mask.apply("no such table: hotels"), "no such table: hotels");
        assert_eq!(format!("{mask:?}").find("w0rd"), None);
    }

    #[test]
    fn other_forms_of_connection_strings_are_taken_apart_too() {
        for secret in [
            "app:hunter22@tcp(db.example:3306)/bookings?tls=true",
            "host=db.example user=app password=hunter22 sslmode=require",
            "Server=db.example;User=app;Pwd=hunter22;",
            r#"{"username":"app","password":"hunter22"}"#,
            "mysql://app:hunter22@db.example",
            "hunter22",
        ] {
            assert_eq!(Mask::of(secret).apply("it is hunter22!"), "it is ***!", "{secret}");
        }
        let quoted = Mask::of(r#"mysql://app:a"b\c d@db.example"#);
        assert_eq!(quoted.apply(r#"it is a"b\c d!"#), "it is ***!");
        assert_eq!(quoted.apply(r#"{"is":"a\"b\\c d"}"#), r#"{"is":"***"}"#);
    }

    #[test]
    fn a_variable_is_masked_by_its_name_or_by_the_shape_of_its_value() {
        for (name, value, secret) in [
            ("API_TOKEN", "hunter22", true),
            ("DATABASE_URL", "mysql://app:hunter22@db.example", true),
            ("LISTEN", "0.0.0.0:8080", false),
            ("LOG", "debug", false),
            ("RELEASE_EXECUTION", "prod-3f2a9c1d3f2a-20261123T034653Z", false),
        ] {
            assert_eq!(Mask::of_variable(name, value).apply(value) == MASKED, secret, "{name}");
        }
    }

    #[test]
    fn occurrences_that_overlap_are_masked_together() {
        let mask = Mask::of("abcabc").and(Mask::of("bcxy"));
        assert_eq!(mask.apply("-abcabcabcxy-"), "-***-");
    }

    #[test]
    fn an_empty_or_tiny_secret_blots_nothing_out() {
        for secret in ["", " ", "a", "abc", "mysql://app:a@db"] {
            assert_eq!(Mask::of(secret).apply("a cab"), "a cab", "{secret:?}");
        }
    }

    #[test]
    fn what_has_the_shape_of_a_credential_is_masked_whoever_wrote_it() {
        let word = "x1Y2z3".repeat(3);
        for (told, expected) in [
            (format!("pw pscale_pw_{word}."), "pw pscale_pw_***".to_owned()),
            (format!("pscale_tkn_{word} expired"), "pscale_tkn_*** expired".into()),
            (format!("AKIA{}", "EXAMPLE0".repeat(2)), "***".into()),
            (format!("key {}", "aB3/".repeat(10)), "key ***".into()),
            ("https://me:hush@host/x".into(), "https://me:***@host/x".into()),
            ("mysql://me:hu@sh@host/x".into(), "mysql://me:***@host/x".into()),
            ("me:hush@tcp(db:3306)/x".into(), "me:***@tcp(db:3306)/x".into()),
            ("DB_PASSWORD=hush next".into(), "DB_PASSWORD=*** next".into()),
            ("{\"password\": \"hu sh\", \"a\": 1}".into(), "{\"password\": \"***\", \"a\": 1}".into()),
            (r#"{\"password\":\"hush\"}"#.into(), r#"{\"password\":\"***\"}"#.into()),
            ("password: hush".into(), "password: ***".into()),
            ("?user=a&token=hush&b=c".into(), "?user=a&token=***&b=c".into()),
            ("Authorization: Bearer hush".into(), "Authorization: ***".into()),
            ("aws_secret_access_key = hush".into(), "aws_secret_access_key = ***".into()),
        ] {
            assert_eq!(mask_credentials(&told), expected);
        }
    }

    #[test]
    fn what_people_need_to_read_stays() {
        for told in [
            "Access denied for user 'app'@'10.0.0.1' (using password: YES)",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/bookings-api@sha256:0f0f",
            "localhost:5000/bookings-api:3f2a9c1d3f2a9c1d3f2a9c1d3f2a9c1d3f2a9c1d",
            "localhost:5000/bookings-api@sha256:0f0f",
            "https://app.planetscale.com/acme/bookings/deploy-requests/7",
            "syntax error, unexpected token: }",
            "ALTER TABLE `users` ADD COLUMN `password` varchar(255)",
            "[deployment:4] Took too long at 12:30:45",
            "arn:aws:states:us-east-1:123456789012:execution:app-prod-release:prod-1",
        ] {
            assert_eq!(mask_credentials(told), told);
        }
    }
}
