//! The secrets that a person fills. Their values are never repeated.

use secrecy::{ExposeSecret, SecretString};

use super::{Check, Fact};

/// The check of the secret with the connection string.
pub const CONNECTION_STRING: &str = "connection string";

/// Whether the connection string is there, and in a form in which PlanetScale hands it out: a URL, or the Go driver's.
///
/// `fill` is the command that fills it.
pub fn connection_string(secret: &Fact<SecretString>, fill: &str) -> Check {
    let name = CONNECTION_STRING;
    match secret {
        Err(error) => Check::failed(name, error),
        Ok(None) => Check::problem(name, "The secret has no value.", format!("Fill it: {fill}")),
        Ok(Some(secret)) => match shape(secret.expose_secret()) {
            Shape::Whole(form) => Check::fine(name, format!("Filled, in the form of {form}.")),
            Shape::Wrong(why) => {
                Check::problem(name, format!("The secret's value {why}."), format!("Fill it again: {fill}"))
            }
            Shape::Foreign => Check::unknown(
                name,
                "Filled, but neither mysql://user:password@host/database nor user:password@tcp(host)/database.",
            )
            .to_do(format!("If your application does not take it so, fill it again: {fill}")),
        },
    }
}

/// The form of a connection string, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Whole(&'static str),
    Wrong(&'static str),
    Foreign,
}

fn shape(text: &str) -> Shape {
    if text.trim() != text {
        return Shape::Wrong("begins or ends with a blank or a line break");
    }
    if text.starts_with('<') {
        return Shape::Wrong("is still the placeholder of the command");
    }
    if text.starts_with(['"', '\'']) {
        return Shape::Wrong("is in quotes");
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        if !scheme.starts_with("mysql") {
            return Shape::Foreign;
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        return whole("a URL", user, host, path);
    }
    // user:password@tcp(host:port)/database?parameters
    match text.rsplit_once("@tcp(").and_then(|(user, rest)| Some((user, rest.split_once(')')?))) {
        Some((user, (host, path))) => {
            whole("the Go driver", user, host, path.strip_prefix('/').unwrap_or_default())
        }
        None => Shape::Foreign,
    }
}

fn whole(form: &'static str, user: &str, host: &str, path: &str) -> Shape {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let database = path.split('?').next().unwrap_or_default();
    if user.is_empty() {
        Shape::Wrong("has no user")
    } else if password.is_empty() {
        Shape::Wrong("has no password")
    } else if host.is_empty() || host.starts_with(':') {
        Shape::Wrong("has no host")
    } else if database.is_empty() {
        Shape::Wrong("has no database")
    } else {
        Shape::Whole(form)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn both_forms_that_planetscale_hands_out_are_whole() {
        for text in [
            "mysql://u:p@aws.connect.example/shop?sslaccept=strict",
            "mysql://u:p@h:3306/shop",
            "mysql2://u:p@h/shop",
        ] {
            assert_eq!(shape(text), Shape::Whole("a URL"), "{text}");
        }
        for text in ["u:p@tcp(aws.connect.example)/shop?tls=true", "u:p@x@tcp(h:3306)/shop"] {
            assert_eq!(shape(text), Shape::Whole("the Go driver"), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("<connection string>", "is still the placeholder of the command"),
            ("mysql://u:p@h/shop\n", "begins or ends with a blank or a line break"),
            ("'mysql://u:p@h/shop'", "is in quotes"),
            ("mysql://h/shop", "has no user"),
            ("mysql://u@h/shop", "has no password"),
            ("mysql://u:p@/shop", "has no host"),
            ("mysql://u:p@h", "has no database"),
            ("mysql://u:p@h/?ssl=true", "has no database"),
            ("u@tcp(h)/shop", "has no password"),
            ("u:p@tcp()/shop", "has no host"),
            ("u:p@tcp(h)", "has no database"),
        ] {
            assert_eq!(shape(text), Shape::Wrong(why), "{text}");
        }
    }

    #[test]
    fn another_form_is_left_to_the_application() {
        for text in ["postgres://u:p@h/d", "server=h;uid=u", "not a connection string", "é"] {
            assert_eq!(shape(text), Shape::Foreign, "{text}");
        }
    }

    #[test]
    fn no_check_repeats_the_secret() {
        for text in [
            "mysql://u:not-a-real-one@h/shop",
            "mysql://u:not-a-real-one@h",
            "not-a-real-one",
            "<not-a-real-one",
        ] {
            let check = connection_string(&Ok(Some(SecretString::from(text))), "aws …");
            assert!(!format!("{check:?}").contains("not-a-real-one"), "{check:?}");
        }
    }

    #[test]
    fn a_secret_without_a_value_is_a_problem_with_its_command() {
        let check = connection_string(&Ok(None), "aws secretsmanager put-secret-value");
        assert_eq!(check.status, Status::Problem);
        assert_eq!(check.to_do.as_deref(), Some("Fill it: aws secretsmanager put-secret-value"));
    }
}
